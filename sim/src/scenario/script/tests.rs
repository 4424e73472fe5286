//! What a wrong scenario is told.

use super::Script;

const START: &str = "story = 'A story.'\n";

fn error(text: &str) -> String {
    let text = format!("{START}{text}");
    match Script::parse("my.toml", &text) {
        Ok(_) => panic!("{text} is taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_file_line_and_what_is_allowed() {
    let step = "[[step]]\n";
    for (text, line, named) in [
        ("tale = 3\n", 2, "expected one of `story`"),
        ("[[step]]\nat = '12'\ndo = 'power on'\n", 3, "12s or 1h30m"),
        ("[[step]]\ndo = 'power of'\n", 3, "`power off`"),
        (
            "[[step]]\ndo = { network = { ssid = 'A', speed = 3 } }\n",
            3,
            "`channel`",
        ),
        (
            "[[step]]\ndo = { network = { ssid = 'A', channel = 14 } }\n",
            3,
            "1 to 13",
        ),
        ("[[step]]\ndo = { broker = 'explode' }\n", 3, "`hang`"),
        (
            "[[step]]\ndo = { pin = { number = 1, level = 2 } }\n",
            3,
            "0 or 1",
        ),
        (
            "[[step]]\nexpect = { pin = { number = 1, level = 2 } }\n",
            3,
            "0 or 1",
        ),
        (
            "[[step]]\nexpect = { retained = { topic = 'a/+', payload = '' } }\n",
            3,
            "without + and #",
        ),
        ("[[step]]\nexpect = { onlin = true }\n", 3, "`online`"),
        ("[[step]]\nexpect = { wifi = 'on' }\n", 3, "`portal`"),
        ("[[step]]\nat = '1s'\n", 3, "do = ... or expect"),
        (
            "[[step]]\ndo = 'power on'\nexpect = { online = true }\n",
            3,
            "make two of it",
        ),
        (
            "[[step]]\ndo = 'power on'\nwithin = '3s'\n",
            3,
            "belong to expect",
        ),
        (
            "[[step]]\nat = '1s'\nafter = '1s'\ndo = 'power on'\n",
            3,
            "leave one out",
        ),
        (
            "[[step]]\nat = '2s'\ndo = 'power on'\n[[step]]\nat = '1s'\ndo = 'power on'\n",
            6,
            "in their order",
        ),
        (
            "knows = ['Home']\n[[step]]\ndo = 'power on'\n",
            2,
            "[[network]]",
        ),
        (
            "date = 2030-01-01\n[[step]]\ndo = 'power on'\n",
            2,
            "2030-03-31T00:59:50Z",
        ),
        (
            "config = '''\n[mqtt]\nport = 0\n'''\n[[step]]\ndo = 'power on'\n",
            2,
            "mqtt.port",
        ),
        (
            "[[network]]\nssid = 'A'\npassword = 'short'\n[[step]]\ndo = 'power on'\n",
            4,
            "password",
        ),
        ("[[step]]\nat = 'sweep'\ndo = 'power on'\n", 1, "add sweep"),
        (
            "sweep = { from = '0s', to = '1s', every = '1s' }\n[[step]]\ndo = 'power on'\n",
            1,
            "at = \"sweep\"",
        ),
    ] {
        let told = error(text);
        assert!(
            told.starts_with(&format!("my.toml, line {line}: ")),
            "{text}: {told}"
        );
        assert!(told.contains(named), "{text}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    assert!(error("").contains("step"));
    let told = Script::parse("my.toml", &format!("story = ' '\n{step}do = 'power on'\n"));
    assert!(
        told.expect_err("no story")
            .to_string()
            .contains("say what happens")
    );
}

#[test]
fn every_word_of_the_description_is_one() {
    let text = include_str!("../../../../docs/scenarios.md");
    let (_, tables) = text.split_once("### do").expect("the acts");
    let (acts, expectations) = tables.split_once("### expect").expect("what is expected");
    let spoken = |table: &str| {
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split(" |").next().unwrap_or_default().to_owned())
            .flat_map(|cell| {
                let words = cell
                    .split("`, `")
                    .map(|word| word.trim_matches('`').to_owned());
                words.collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    let (acts, expectations) = (spoken(acts), spoken(expectations));
    assert!(
        acts.len() > 20 && expectations.len() > 9,
        "{acts:?} {expectations:?}"
    );
    for act in acts {
        let text = format!("{START}[[step]]\ndo = {act}\n");
        if let Err(error) = Script::parse("docs", &text) {
            panic!("{act}: {error}");
        }
    }
    for expected in expectations {
        let text = format!("{START}[[step]]\nexpect = {{ {expected} }}\n");
        if let Err(error) = Script::parse("docs", &text) {
            panic!("{expected}: {error}");
        }
    }
}
