// Shows values of the device live: each element with data-value="name" holds what /app/name serves.

const elements = [...document.querySelectorAll('[data-value]')];
const line = document.querySelector('#curve polyline');
const past = [];

const draw = () => {
  const low = Math.min(...past) - 0.5;
  const high = Math.max(...past) + 0.5;
  line.setAttribute('points', past.map((value, index) =>
    `${300 - past.length + index},${80 - 80 * (value - low) / (high - low)}`).join(' '));
};

const refresh = async () => {
  try {
    for (const element of elements) {
      const value = await (await fetch('/app/' + element.dataset.value)).json();
      element.textContent = value;
      if (element.dataset.value === 'temperature') {
        past.push(value);
        if (past.length > 300) past.shift();
      }
    }
    draw();
    document.querySelector('#silent').textContent = '';
  } catch {
    document.querySelector('#silent').textContent = 'The device does not answer.';
  }
  setTimeout(refresh, 1000);
};
refresh();
