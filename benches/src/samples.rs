//! What was measured, round by round: the median stands for it, the least and the most are its spread.

/// One value for each round, in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The value that `part` of them (0 to 1) do not pass; between two of them where it falls between.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let values = self.sorted();
        let place = part * values.len().saturating_sub(1) as f64;
        match (
            values.get(place.floor() as usize),
            values.get(place.ceil() as usize),
        ) {
            (Some(below), Some(above)) => below + (above - below) * place.fract(),
            _ => f64::NAN,
        }
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// This by `other`, round by round: what slowed a whole round down is in both.
    pub(crate) fn ratio(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, other)| one / other).collect())
    }

    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    /// Median and spread, with a unit.
    pub(crate) fn show(&self, unit: &str) -> String {
        let [low, median, high] = [0.0, 0.5, 1.0].map(|part| figure(self.quantile(part)));
        match self.0.len() {
            0 => "not measured".into(),
            1 => format!("{median}{unit}"),
            _ => format!("{median}{unit} ({low} to {high})"),
        }
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Three digits that matter, thousands apart.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut shown = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Samples::from_iter([4.0, 1.0]).median(), 2.5);
        assert_eq!(Samples::from_iter([3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(
            Samples::from_iter([4.0, 1.0]).show(" s"),
            "2.50 s (1.00 to 4.00)"
        );
        assert!(Samples::default().median().is_nan());
    }
}
