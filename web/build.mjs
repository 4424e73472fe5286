// Makes the portal's page from its sources: one file with style and script inside.
//
//   node build.mjs           writes built/
//   node build.mjs --check   fails when built/ is not what the sources give
//
// The compressed file is compared by what is in it: another version of zlib may pack it otherwise.

import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {constants, gunzipSync, gzipSync} from 'node:zlib';
import * as sass from 'sass';
import {minify} from 'terser';

const BUDGET = 8 * 1024;
const here = path => fileURLToPath(new URL(path, import.meta.url));
const read = path => readFileSync(here(path), 'utf8');
const style = name => sass.compile(here(`style/${name}.scss`), {style: 'compressed', charset: false}).css.trim();
const hash = text => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const texts = JSON.parse(read('texts.json'));
const keys = language => Object.keys(texts[language]).sort().join();
if (keys('en') !== keys('nb')) throw new Error('texts.json: the two languages have different keys');

const css = style('setup');
const {code: script} = await minify(read('script/setup.js').replace('TEXTS', () => JSON.stringify(texts)), {
  compress: {passes: 2},
  mangle: true,
  toplevel: true,
  ecma: 2019,
  format: {ascii_only: false},
});
const html = read('setup.html')
  .replace(/>\s*\n\s*/g, '>')
  .replace(/(data-text="(\w+)"[^>]*>)/g, (_, tag, key) => tag + texts.en[key])
  .replace('{{style}}', () => css)
  .replace('{{script}}', () => script);

const policy = [
  "default-src 'none'", "connect-src 'self'", "form-action 'self'", "base-uri 'none'",
  "frame-ancestors 'none'", 'img-src data:', `style-src ${hash(css)}`, `script-src ${hash(script)}`,
].join('; ');
// A device unpacks it, for the few clients that do not: with a window of 2 KB, not of 32.
const pack = text => gzipSync(text, {level: constants.Z_BEST_COMPRESSION, memLevel: 9, windowBits: 11});
const packed = pack(html);

const plain = style('plain');
const plainPolicy = [
  "default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  `style-src ${hash(plain)}`,
].join('; ');

const built = {
  'setup.html': html,
  'setup.html.gz': packed,
  'setup.policy': policy,
  'plain.css': plain,
  'plain.css.gz': pack(plain),
  'plain.policy': plainPolicy,
};

if (packed.length > BUDGET) throw new Error(`the page takes ${packed.length} bytes of ${BUDGET}`);
if (process.argv.includes('--check')) {
  const stale = Object.entries(built).filter(([name, content]) => {
    const path = here(`built/${name}`);
    if (!existsSync(path)) return true;
    const there = readFileSync(path);
    return name.endsWith('.gz')
      ? !gunzipSync(there).equals(gunzipSync(content)) || there.length > BUDGET
      : !there.equals(Buffer.from(content));
  });
  if (stale.length) {
    console.error(`web/built is not up to date (${stale.map(([name]) => name).join(', ')}): run make web`);
    process.exit(1);
  }
} else {
  mkdirSync(here('built'), {recursive: true});
  for (const [name, content] of Object.entries(built)) writeFileSync(here(`built/${name}`), content);
}
console.log(`the page: ${html.length} characters, ${packed.length} bytes packed, of ${BUDGET}`);
