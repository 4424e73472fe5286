// The whole flow in a real browser, against the virtual board. Screenshots go into docs/pictures/ when
// PICTURES=write is set, else into a temporary directory.
//
// BOARD names the program of the relay, SENSOR that of the sensor.

import assert from 'node:assert/strict';
import {existsSync, mkdirSync, mkdtempSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {chromium} from 'playwright-core';
import {startBoard, until} from './board.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const program = process.env.BOARD;
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const skip = !program ? 'BOARD names no program'
  : !existsSync(executablePath) ? `${executablePath} is missing` : false;
const pictures = process.env.PICTURES === 'write'
  ? fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
  : mkdtempSync(join(tmpdir(), 'bluebell-pictures-'));
mkdirSync(pictures, {recursive: true});

let browser;
before(async () => {
  // Chromium's sandbox needs what a container's root does not have; only our own page is loaded.
  if (!skip) browser = await chromium.launch({executablePath, args: ['--no-sandbox']});
});
after(() => browser?.close());

const PHONE = {viewport: {width: 390, height: 844}, deviceScaleFactor: 2, hasTouch: true};
const SMALL = {viewport: {width: 320, height: 568}, hasTouch: true};
const DESKTOP = {viewport: {width: 1280, height: 800}};
const words = {
  'en-GB': {
    connect: 'Connect', show: 'Show', hide: 'Hide', again: 'Look again', other: 'Another network …',
    name: 'Name of the network', password: 'Password', wrong: 'The password was not accepted',
    notFound: 'No network of this name answered', online: 'Your device is online',
    plainTitle: 'Put your device on Wi-Fi', closes: 'access point closes',
  },
  'nb-NO': {
    connect: 'Koble til', show: 'Vis', hide: 'Skjul', again: 'Søk igjen', other: 'Et annet nettverk …',
    name: 'Navnet på nettverket', password: 'Passord', wrong: 'Passordet ble ikke godtatt',
    notFound: 'Ingen nettverk med dette navnet svarte', online: 'Enheten er på nett',
    plainTitle: 'Koble enheten til Wi-Fi', closes: 'Tilgangspunktet lukkes',
  },
};

const scenario = (name, options, body) => test(name, {skip, timeout: 120_000}, async () => {
  const board = await startBoard(options.program || program);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(25_000);
  const complaints = [];
  page.on('pageerror', error => complaints.push(error.message));
  page.on('console', message => {
    // A poll that meets a closed access point is a failure to load, and no fault.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) {
      complaints.push(message.text());
    }
  });
  try {
    await body({board, page, context, text: words[options.locale]});
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
    await board.stop();
  }
});

const noViolation = async page => {
  // The page's own policy lets no other script in; the test is a guest that comes another way.
  await page.evaluate(readFileSync(axe, 'utf8'));
  const {violations} = await page.evaluate(() => globalThis.axe.run({
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  assert.deepEqual(violations.map(({id, nodes}) => `${id}: ${nodes.map(node => node.html).join(' ')}`), []);
};
const noSidewaysScroll = async page => assert.equal(
  await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
const picture = (page, name) => page.screenshot({path: join(pictures, `${name}.png`), animations: 'disabled'});
const row = (page, ssid) => page.locator('.network > label', {hasText: ssid});
const online = async board => until(async () => (await board.state()).wifi.state === 'online');

for (const [locale, colorScheme] of [['en-GB', 'light'], ['nb-NO', 'dark']]) {
  scenario(`a wrong password first, then the right one (${locale}, ${colorScheme})`,
    {...PHONE, locale, colorScheme}, async ({board, page, text}) => {
      const requests = [];
      page.on('request', request => requests.push(new URL(request.url()).pathname));
      await page.goto(board.portal);
      await row(page, 'Bluebell-Lab').waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      assert.deepEqual([...new Set(requests)].sort(), ['/', '/networks.json', '/status.json']);
      // The scan tells channel after channel; in the end they stand there strongest first.
      const names = ['Bluebell-Lab', 'Hagestua', 'Cafe', 'Nabo & <b>sønn</b>', text.other].join('\n');
      await until(async () => (await page.locator('.network .name').allTextContents()).join('\n') === names);
      await noViolation(page);
      await picture(page, `portal-${locale.slice(0, 2)}-networks`);

      await row(page, 'Bluebell-Lab').tap();
      const password = page.getByLabel(text.password, {exact: true});
      await until(async () => password.evaluate(field => field === document.activeElement));
      await password.fill('wrong horse');
      await page.getByRole('button', {name: text.show}).tap();
      assert.equal(await password.getAttribute('type'), 'text');
      await page.getByRole('button', {name: text.hide}).tap();
      assert.equal(await password.getAttribute('type'), 'password');
      await page.getByRole('button', {name: text.connect, exact: true}).tap();
      await page.locator('#status.joining').waitFor();
      await noViolation(page);
      await picture(page, `portal-${locale.slice(0, 2)}-joining`);
      await page.locator('#status.failed', {hasText: text.wrong}).waitFor();
      assert.equal(await password.inputValue(), 'wrong horse');
      await noViolation(page);
      await picture(page, `portal-${locale.slice(0, 2)}-failed`);

      await password.fill('correct horse');
      await page.getByRole('button', {name: text.connect, exact: true}).tap();
      await page.locator('#status.online', {hasText: text.closes}).waitFor();
      await page.getByRole('heading', {name: text.online}).waitFor();
      const {wifi} = await board.state();
      assert.equal(await page.locator('a.address').getAttribute('href'), `http://${wifi.ip}/`);
      await noViolation(page);
      await picture(page, `portal-${locale.slice(0, 2)}-online`);
      await until(async () => !(await board.state()).portal);
    });

  scenario(`a hidden network is typed by hand, on the smallest screen (${locale})`,
    {...SMALL, locale, colorScheme}, async ({board, page, text}) => {
      await page.goto(board.portal);
      await row(page, 'Cafe').waitFor();
      await row(page, text.other).tap();
      await page.getByLabel(text.name).fill('Nowhere');
      await noSidewaysScroll(page);
      await noViolation(page);
      await page.getByLabel(text.password, {exact: true}).fill('battery staple');
      await page.getByRole('button', {name: text.connect, exact: true}).tap();
      await page.locator('#status.failed', {hasText: text.notFound}).waitFor();
      await noSidewaysScroll(page);
      assert.equal(await page.getByLabel(text.password, {exact: true}).inputValue(), 'battery staple');
      await page.getByLabel(text.name).fill('Attic');
      await page.getByRole('button', {name: text.connect, exact: true}).tap();
      await page.locator('#status.online').waitFor();
      await noSidewaysScroll(page);
      assert.equal((await online(board), await board.state()).wifi.ssid, 'Attic');
    });

  scenario(`without scripts the plain page does it all (${locale})`,
    {...SMALL, locale, colorScheme, javaScriptEnabled: false}, async ({board, page, text}) => {
      await page.goto(board.portal);
      await page.waitForURL('**/plain');
      await page.getByRole('heading', {name: text.plainTitle}).waitFor();
      await until(async () => {
        await page.reload();
        return await page.getByRole('radio', {name: 'Hagestua'}).count();
      });
      await noSidewaysScrollWithout(page);
      await picture(page, `plain-${locale.slice(0, 2)}`);
      const form = page.locator('form').first();
      await form.getByRole('radio', {name: 'Hagestua'}).check();
      await form.getByLabel(text.password, {exact: true}).fill('a wrong garden');
      await form.getByRole('button').click();
      await until(async () => /passord|password/i.test(await page.getByRole('status').textContent()));
      await form.getByRole('radio', {name: 'Hagestua'}).check();
      await form.getByLabel(text.password, {exact: true}).fill('a garden of bells');
      await form.getByRole('button').click();
      await until(async () => (await page.getByRole('status').getByRole('link').count()) === 1);
      await online(board);
    });
}

// Nothing can be asked of a page without scripts, so its picture is measured.
const noSidewaysScrollWithout = async page => {
  const box = await page.locator('main').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 320, JSON.stringify(box));
};

scenario('the page tells what a join waits for', {...PHONE, locale: 'en-GB'}, async ({board, page}) => {
  let step = 'joining';
  const json = {state: 'joining', ssid: 'Bluebell-Lab', reason: null, ip: null};
  await page.route('**/status.json', route => route.fulfill({json, headers: {'Join-Step': step}}));
  await page.goto(board.portal);
  for (const [next, words, done] of [
    ['joining', 'Joining the network', 0], ['address', 'Getting an address', 1], ['saving', 'Saving it', 2],
  ]) {
    step = next;
    await page.locator('.steps [aria-current=step]', {hasText: words}).waitFor();
    assert.equal(await page.locator('.steps .done').count(), done);
    if (done) assert.equal(await page.locator('#spoken').textContent(), words);
    await noViolation(page);
  }
});

scenario('an open network needs one tap and no password', {...PHONE, locale: 'en-GB'},
  async ({board, page, text}) => {
    await page.goto(board.portal);
    await row(page, 'Cafe').tap();
    assert.equal(await page.getByLabel(text.password, {exact: true}).isVisible(), false);
    await page.getByRole('button', {name: text.connect, exact: true}).tap();
    await page.locator('#status.online').waitFor();
  });

scenario('looking again shows a new network without a reload and keeps what was typed',
  {...DESKTOP, locale: 'en-GB', colorScheme: 'light'}, async ({board, page, text}) => {
    let loads = 0;
    page.on('load', () => { loads++; });
    await page.goto(board.portal);
    await row(page, 'Hagestua').click();
    await page.getByLabel(text.password, {exact: true}).fill('a garden');
    await picture(page, 'portal-desktop');
    await board.air({ssid: 'New here', rssi: -40, channel: 3, password: 'brand new one'});
    await page.getByRole('button', {name: text.again}).click();
    await row(page, 'New here').waitFor();
    assert.equal(await page.locator('.network .name').first().textContent(), 'New here');
    assert.equal(await page.getByLabel(text.password, {exact: true}).inputValue(), 'a garden');
    assert.equal(await page.getByRole('radio', {name: 'Hagestua'}).isChecked(), true);
    assert.equal(loads, 1);
    await noViolation(page);
  });

scenario('the keyboard is enough, and the language can be changed on the way',
  {...DESKTOP, locale: 'de-DE'}, async ({board, page}) => {
    await page.goto(board.portal);
    await row(page, 'Bluebell-Lab').waitFor();
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.value);
    const tabTo = async wanted => {
      for (let tries = 0; tries < 12; tries++) {
        await page.keyboard.press('Tab');
        if (await focused() === wanted) return;
      }
      assert.fail(`${wanted} is not reached`);
    };
    await tabTo('language');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'nb');
    await page.reload();
    await row(page, 'Bluebell-Lab').waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'nb');
    await tabTo('rescan');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'Hagestua');
    await page.keyboard.press('ArrowUp');
    assert.equal(await focused(), 'Bluebell-Lab');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'password');
    await page.keyboard.type('short');
    await page.keyboard.press('Enter');
    await page.locator('#error', {hasText: 'minst 8 tegn'}).waitFor();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('correct horse');
    await page.keyboard.press('Enter');
    await page.locator('#status.online').waitFor();
    assert.equal(await focused(), 'title');
  });

scenario('the panel shows the board', {...DESKTOP, locale: 'en-GB', colorScheme: 'light'},
  async ({board, page}) => {
    await page.goto(board.panel);
    const code = page.getByAltText('QR code');
    await code.waitFor();
    assert.ok(await code.evaluate(image => image.decode().then(() => image.naturalWidth > 0)));
    await picture(page, 'panel-portal');
    await fetch(`${board.portal}connect`, {
      method: 'POST', headers: {Accept: 'application/json'},
      body: new URLSearchParams({ssid: 'Bluebell-Lab', password: 'correct horse'}),
    });
    await online(board);
    await until(async () => /\d/.test((await board.state()).display));
    await page.waitForTimeout(500);
    await picture(page, 'panel');
  });

scenario('the plain page is as good to use as the other', {...DESKTOP, locale: 'nb-NO'},
  async ({board, page}) => {
    await page.goto(`${board.portal}plain`);
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'nb');
    await noViolation(page);
  });

if (process.env.SENSOR) {
  scenario('an application has a page of its own that shows its values live',
    {...PHONE, viewport: {width: 390, height: 420}, locale: 'en-GB', colorScheme: 'light',
      program: process.env.SENSOR}, async ({board, page}) => {
      await page.goto(board.portal);
      const readings = page.locator('[data-value=readings]');
      const first = await until(async () => Number(await readings.textContent()));
      await until(async () => Number(await readings.textContent()) > first + 2);
      assert.match(await page.locator('[data-value=temperature]').textContent(), /^\d+(\.\d)?$/);
      await noViolation(page);
      await picture(page, 'sensor');
      await page.getByRole('link').click();
      await page.getByRole('heading', {name: 'Put your device on Wi-Fi'}).waitFor();
    });
}
