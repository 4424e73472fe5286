// The page's behaviour. Whatever comes from outside goes into the page as text only.

const texts = TEXTS;
const at = id => document.getElementById(id);
const make = (tag, className, ...content) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
};
const icon = (name, className) => {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const use = document.createElementNS(space, 'use');
  svg.setAttribute('class', 'icon ' + className);
  svg.setAttribute('aria-hidden', true);
  use.setAttribute('href', '#' + name);
  svg.append(use);
  return svg;
};

// ---- language -------------------------------------------------------------------------------

let language = 'en';
let text = texts.en;
// Some sign-in windows keep nothing, and say so with an exception.
const remembered = value => {
  try {
    if (value) sessionStorage.language = value;
    return sessionStorage.language;
  } catch {
    return value;
  }
};
const speak = wanted => {
  language = wanted;
  text = texts[language];
  document.documentElement.lang = language;
  document.title = text.title;
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = text[element.dataset.text];
  }
  const other = language === 'en' ? 'nb' : 'en';
  at('language').lang = other;
  at('language').textContent = other === 'en' ? 'English' : 'Norsk';
  reveal(shown);
  error('');
  draw(networks);
  open();
  shownStatus = '';
  show(status);
};
at('language').onclick = () => speak(remembered(language === 'en' ? 'nb' : 'en'));

// A sentence with a network's name in it, the name set apart.
const sentence = (pattern, name) => {
  const [before, after] = pattern.split('{}');
  return [before, make('b', '', name), after];
};

// ---- networks -------------------------------------------------------------------------------

let networks = null;
let sought = false;
const rows = new Map();
const byName = at('by-name');
const picked = () => document.querySelector('input[name=pick]:checked');

const fill = (row, network) => {
  const level = network.rssi >= -55 ? 3 : network.rssi >= -67 ? 2 : network.rssi >= -78 ? 1 : 0;
  const locked = network.auth !== 'open';
  const label = row.firstChild;
  while (label.children.length > 1) label.lastChild.remove();
  const spoken = `, ${text.signal[level]}, ${locked ? text.locked : text.free}, `;
  label.append(
    icon('bars', 'level' + level),
    make('span', 'name', network.ssid),
    make('span', 'hidden', spoken),
    make('small', '', text.channel + network.channel),
    locked ? icon('lock', 'lock') : make('span', 'icon'),
  );
};

// Rows are kept and moved round the one that has the focus, so that nobody is thrown out of a field.
const draw = list => {
  networks = list;
  const held = document.activeElement.closest('.network');
  const kept = new Set();
  let passed = false;
  for (const network of list || []) {
    kept.add(network.ssid);
    let row = rows.get(network.ssid);
    if (!row) {
      const radio = make('input');
      radio.type = 'radio';
      radio.name = 'pick';
      radio.value = network.ssid;
      row = make('div', 'network', make('label', '', radio));
      rows.set(network.ssid, row);
    }
    row.network = network;
    fill(row, network);
    if (row === held) passed = true;
    else (passed || !rows.get(held && held.network && held.network.ssid) ? byName : held).before(row);
  }
  for (const [ssid, row] of rows) {
    // One that is chosen stays although it was not heard this time.
    if (!kept.has(ssid) && !row.contains(picked())) {
      row.remove();
      rows.delete(ssid);
    }
  }
  at('empty').hidden = rows.size > 0;
  at('empty').textContent = sought ? text.none : text.looking;
};

const look = () => fetch('/networks.json').then(answer => answer.json()).then(list => {
  if (list.length) sought = true;
  draw(list);
}).catch(() => {});

at('rescan').onclick = () => {
  const button = at('rescan');
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', true);
  at('spoken').textContent = text.looking;
  fetch('/rescan', {method: 'POST'}).catch(() => {});
  setTimeout(look, 1000);
  // A scan takes about two seconds.
  setTimeout(() => {
    sought = true;
    look().then(() => {
      button.setAttribute('aria-busy', false);
      at('spoken').textContent = text.heard + rows.size;
    });
  }, 3000);
};

// ---- the chosen network ---------------------------------------------------------------------

let shown = false;
const reveal = visible => {
  shown = visible;
  at('password').type = visible ? 'text' : 'password';
  at('show').setAttribute('aria-pressed', visible);
  at('show').textContent = visible ? text.hide : text.show;
};
at('show').onclick = () => reveal(!shown);

const error = (words, field) => {
  at('error').textContent = words;
  for (const input of [at('name'), at('password')]) input.setAttribute('aria-invalid', input === field);
  if (field) field.focus();
};

// Shows the fields that the chosen network needs, below its row.
const open = () => {
  const radio = picked();
  if (!radio) return;
  const row = radio.closest('.network');
  const network = row.network;
  const hint = network ? text[network.auth] : text.byName;
  for (const other of [byName, ...rows.values()]) other.classList.toggle('picked', other === row);
  if (!row.contains(at('panel'))) row.append(at('panel'));
  at('panel').hidden = false;
  at('name-field').hidden = !!network;
  at('password-field').hidden = network && (network.auth === 'open' || network.auth === 'enterprise');
  at('connect').hidden = network && network.auth === 'enterprise';
  at('hint').hidden = !hint;
  at('hint').textContent = hint || '';
};
at('list').onchange = event => {
  if (event.target.name !== 'pick') return;
  at('password').value = '';
  error('');
  open();
};
// One tap chooses and goes on; who walks through the list with the keys is left there.
at('list').onclick = event => {
  if (!event.detail || !event.target.closest('.network > label')) return;
  setTimeout(() => {
    const field = [at('name'), at('password'), at('connect')].find(field => field.offsetParent);
    if (field) field.focus();
  });
};

at('form').onsubmit = event => {
  event.preventDefault();
  const radio = picked();
  if (!radio) return;
  const network = radio.closest('.network').network;
  const ssid = network ? network.ssid : at('name').value;
  const password = at('password-field').hidden ? '' : at('password').value;
  const bytes = value => new TextEncoder().encode(value).length;
  if (!ssid || bytes(ssid) > 32) return error(text.nameLength, at('name'));
  const empty = !password && !network;
  if (!empty && !at('password-field').hidden && bytes(password) < 8) {
    return error(text.passwordLength, at('password'));
  }
  if (bytes(password) > 63 && !/^[0-9a-f]{64}$/i.test(password)) {
    return error(text.passwordLong, at('password'));
  }
  error('');
  fetch('/connect', {
    method: 'POST',
    headers: {Accept: 'application/json'},
    body: new URLSearchParams({ssid, password}),
  }).then(answer => answer.status === 429
    ? error(text.tooOften)
    : answer.json().then(object => object.error ? error(object.error) : begin(object)),
  ).catch(() => error(text.notSent));
};

// ---- what becomes of it ---------------------------------------------------------------------

let status = {state: 'idle'};
let shownStatus = '';
let watching = 0;
let misses = 0;

// What the device is at: the header `Join-Step` says so.
const order = ['joining', 'address', 'saving'];
const steps = () => make('ol', 'steps', ...text.steps.map(words => make('li', '', words)));
const mark = done => {
  let marked = false;
  document.querySelectorAll('.steps li').forEach((item, index) => {
    const name = index < done ? 'done' : index === done ? 'now' : '';
    if (item.className === name) return;
    item.className = name;
    if (name === 'now') item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
    marked = true;
  });
  // The box is read out when it comes; later only the step is.
  if (marked && done > 0 && done < order.length) at('spoken').textContent = text.steps[done];
};

const show = now => {
  status = now;
  render(now);
  if (now.state === 'joining') mark(Math.max(0, order.indexOf(now.step)));
  if (now.state === 'online') mark(order.length);
};

const render = now => {
  const key = [now.state, now.ssid, now.reason, misses > 4].join();
  if (key === shownStatus) return;
  shownStatus = key;
  const box = at('status');
  const wasThere = box.className;
  box.className = now.state;
  box.replaceChildren();
  const {state, ssid, reason, ip} = now;
  at('form').hidden = at('lead').hidden = state === 'online';
  at('title').textContent = state === 'online' ? text.doneTitle : text.title;
  if (state === 'joining') {
    box.append(
      make('h2', '', ...sentence(text.joining, ssid)),
      steps(),
      make('p', '', ...(misses > 4 ? sentence(text.lost, ssid) : [text.patience])),
    );
  } else if (state === 'failed') {
    box.append(make('h2', '', ...sentence(text.failed, ssid)), make('p', '', text[reason] || reason));
  } else if (state === 'online') {
    const link = make('a', 'address', `http://${ip}/`);
    link.href = link.textContent;
    box.append(make('p', '', ...sentence(text.done, ssid)), link, steps(), make('p', '', text.closes));
  }
  if (state === 'idle' || wasThere === state) return;
  box.scrollIntoView({block: 'nearest'});
  if (state === 'online') at('title').focus();
  if (reason === 'wrong_password' && at('password').offsetParent) at('password').focus();
};

const begin = object => {
  misses = 0;
  shownStatus = '';
  show(object);
  scrollTo({top: 0});
  watch();
};

// The access point may change its channel meanwhile, so a request that fails is asked again.
const watch = () => {
  clearTimeout(watching);
  fetch('/status.json').then(answer => answer.json().then(now => {
    misses = 0;
    now.step = answer.headers.get('Join-Step');
    show(now);
  })).catch(() => {
    misses++;
    show(status);
  }).then(() => {
    if (status.state === 'joining') watching = setTimeout(watch, 700);
  });
};

// ---- start ----------------------------------------------------------------------------------

const wanted = remembered() || (navigator.languages || [navigator.language])
  .map(tag => /^(nb|no|nn)\b/i.test(tag) ? 'nb' : /^en\b/i.test(tag) && 'en')
  .find(Boolean);
speak(wanted || 'en');
watch();
look();
// The first scan is under way when the page opens; later ones come rarely.
let age = 0;
setInterval(() => {
  if (status.state !== 'online' && (!rows.size || ++age % 6 === 0)) look();
  if (age > 4) sought = true;
}, 2000);
