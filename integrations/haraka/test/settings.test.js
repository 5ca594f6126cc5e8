// SPDX-License-Identifier: BSD-2-Clause
//
// limit.ini of both generations, as haraka-config reads it.
'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const config = require('haraka-config')
const { readSettings } = require('../lib/settings')

// As the plugin does it: through a file and haraka-config.
function settings(text) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tallygate-haraka-'))
  fs.mkdirSync(path.join(directory, 'config'))
  fs.writeFileSync(path.join(directory, 'config', 'limit.ini'), text)
  try {
    return readSettings(config.module_config(directory).get('limit.ini'))
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

const NEW = `
tarpit_delay=2
[redis]
host=127.0.0.1
port=6379
database=4
[concurrency]
enabled=true
max=4
[concurrency_history]
enabled=true
plugin=karma
good=10
bad=1
none=2
[recipients]
enabled=true
max=20
max_relaying=100
[recipients_history]
enabled=true
bad=1
none=5
good=50
[unrecognized_commands]
enabled=true
max=7
[errors]
enabled=true
max=8
[rate_conn]
enabled=true
127=0
192.0.2=100/1h
example.com=9
default=5
[rate_conn_history]
enabled=true
bad=1/15m
none=1/5m
good=15/1m
[rate_rcpt_host]
enabled=true
default=51/5m
[rate_rcpt_sender]
enabled=true
[rate_rcpt]
enabled=true
user@example.com=2/1d
[rate_rcpt_null]
enabled=true
[outbound]
enabled=true
delay=20
example.com=10
[rate_outbound]
enabled=true
gmail.com=10/1m
default=500/1h
`

test('every key of the newer plugin', () => {
  const read = settings(NEW)
  const history = (good, bad, none) => ({ plugin: 'karma', good, bad, none })
  const rate = (limit, span) => ({ limit, span })

  assert.deepStrictEqual(read.delays, { tarpit: 2, disconnect: 2 })
  assert.deepStrictEqual(read.concurrency, { max: 4, history: history(10, 1, 2) })
  assert.deepStrictEqual(read.recipients, { max: 20, max_relaying: 100, history: history(50, 1, 5) })
  assert.strictEqual(read.unrecognized_commands.max, 7)
  assert.strictEqual(read.errors.max, 8)
  assert.deepStrictEqual([...read.rate_conn.rates], [
    ['127', rate(0, 60)],
    ['192.0.2', rate(100, 3600)],
    ['example.com', rate(9, 60)],
  ])
  assert.deepStrictEqual(read.rate_conn.fallback, rate(5, 60))
  assert.deepStrictEqual(read.rate_conn.history, history(rate(15, 60), rate(1, 900), rate(1, 300)))
  assert.deepStrictEqual(read.rate_rcpt_host.fallback, rate(51, 300))
  assert.deepStrictEqual(read.rate_rcpt_sender.fallback, rate(50, 300))
  assert.deepStrictEqual(read.rate_rcpt.rates.get('user@example.com'), rate(2, 86400))
  assert.deepStrictEqual(read.rate_rcpt_null.fallback, rate(1, 60))
  assert.deepStrictEqual([...read.outbound.domains], [['example.com', 10]])
  assert.strictEqual(read.outbound.delay, 20)
  assert.deepStrictEqual(read.rate_outbound.fallback, rate(500, 3600))
  assert.strictEqual(read.lines.length, 1)
  assert.match(read.lines[0], /\[redis\]: has no meaning any more/)
})

const OLD = `
[storage]
backend=redis
[concurrency]
max=3
disconnect_delay=5
reset=10   // default: minutes
history=karma
history_bad=1
history_none=3
history_good=10
[recipients]
max= 20
max_relaying= 100
history=karma
history_bad=5
history_none=15
history_good=50
[unrecognized_commands]
max= 10
[errors]
max= 10
`

test('every key of the older plugin', () => {
  const read = settings(OLD)
  const history = (good, bad, none) => ({ plugin: 'karma', good, bad, none })

  assert.deepStrictEqual(read.delays, { tarpit: 0, disconnect: 5 })
  assert.deepStrictEqual(read.concurrency, { max: 3, history: history(10, 1, 3) })
  assert.deepStrictEqual(read.recipients, { max: 20, max_relaying: 100, history: history(50, 5, 15) })
  assert.strictEqual(read.unrecognized_commands.max, 10)
  assert.strictEqual(read.errors.max, 10)
  assert.strictEqual(read.lines.length, 2)
  assert.match(read.lines.join('\n'), /\[storage\]: has no meaning any more/)
  assert.match(read.lines.join('\n'), /\[concurrency\] reset: has no meaning any more/)
})

// (what, the file, what of the settings, its value)
const ROWS = [
  ['no file: no limit', '', (read) => Object.values(read).filter(Boolean).length, 2],
  ['max and no enabled is on', '[concurrency]\nmax=4\n', (read) => read.concurrency.max, 4],
  ['also beside others', '[rate_conn]\nenabled=true\n[errors]\nmax=4\n', (read) => read.errors.max, 4],
  ['enabled=false is off, for concurrency too', '[concurrency]\nenabled=false\nmax=4\n',
    (read) => read.concurrency, null],
  ['enabled without max has the default', '[concurrency]\nenabled=true\n',
    (read) => read.concurrency.max, 3],
  ['max=0 is unlimited', '[concurrency]\nenabled=true\nmax=0\n', (read) => read.concurrency.max, 0],
  ['a rate without enabled is off', '[rate_conn]\ndefault=5\n', (read) => read.rate_conn, null],
  ['the old delay', '[concurrency]\nmax=4\n', (read) => read.delays, { tarpit: 0, disconnect: 3 }],
  ['the new delay', '[concurrency]\nenabled=true\nmax=4\n', (read) => read.delays,
    { tarpit: 3, disconnect: 3 }],
  ['no delay', 'tarpit_delay=0\n[concurrency]\nmax=4\n', (read) => read.delays,
    { tarpit: 0, disconnect: 0 }],
  ['half a second', 'tarpit_delay=0.5\n', (read) => read.delays.tarpit, 0.5],
  ['old history without tiers', '[concurrency]\nmax=4\nhistory=karma\n',
    (read) => read.concurrency.history, { plugin: 'karma', good: 5, bad: 1, none: 3 }],
  ['new history that is off', '[concurrency]\nmax=4\n[concurrency_history]\nenabled=false\n',
    (read) => read.concurrency.history, null],
  ['the default file, in which nothing is enabled',
    '[redis]\n[concurrency]\nmax=3\n[errors]\nmax=10\n[rate_conn]\ndefault=5\n',
    (read) => [read.concurrency, read.errors, read.rate_conn], [null, null, null]],
]

for (const [what, text, pick, expected] of ROWS) {
  test(what, () => assert.deepStrictEqual(pick(settings(text)), expected))
}

// (the file, what of the settings limits nothing then, what the one line says)
const BAD = [
  ['[rate_conn]\nenabled=true\ndefault=5/5x\n', (read) => read.rate_conn.fallback, undefined,
    /\[rate_conn\] default: is "5\/5x": expected a limit such as/],
  ['[rate_conn]\nenabled=true\ndefault=1.5/5m\n', (read) => read.rate_conn.fallback, undefined, /1.5\/5m/],
  ['[rate_conn]\nenabled=true\ndefault=-5\n', (read) => read.rate_conn.fallback, undefined, /-5/],
  ['[concurrency]\nmax=-1\n', (read) => read.concurrency.max, 0, /\[concurrency\] max: is -1/],
  ['[concurrency]\nmax=2.5\n', (read) => read.concurrency.max, 0, /2.5/],
  ['[concurrency]\nmax=three\n', (read) => read.concurrency.max, 0, /"three"/],
  ['[errors]\nenabled=true\nmax\n', (read) => read.errors.max, 0, /\[errors\] max/],
  ['[outbound]\nenabled=true\nexample.com=x\n', (read) => read.outbound.domains.get('example.com'), 0, /"x"/],
  ['[outbound]\nenabled=true\ndelay=soon\n', (read) => read.outbound.delay, 30, /30 are taken/],
  ['tarpit_delay=-1\n', (read) => read.delays.tarpit, 0, /0 are taken/],
  ['[concurency]\nmax=3\n', (read) => read.concurrency, null, /\[concurency\]: is no section/],
  ['[concurrency]\nmax=3\nmx=4\n', (read) => read.concurrency.max, 3, /mx: is no key/],
]

for (const [text, pick, expected, line] of BAD) {
  test(`one line, and no crash: ${JSON.stringify(text)}`, () => {
    const read = settings(text)
    assert.deepStrictEqual(pick(read), expected)
    assert.strictEqual(read.lines.length, 1, read.lines.join('\n'))
    assert.match(read.lines[0], line)
  })
}

test('a value with blanks behind it, however it came here', () => {
  const read = readSettings({ main: {}, rate_conn: { enabled: 'true', default: '50/5m ' } })
  assert.strictEqual(read.rate_conn.fallback, undefined)
  assert.strictEqual(read.lines.length, 1)
})

test('any bytes at all', () => {
  let seed = 1
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  const pieces = ['[concurrency]', '[rate_conn]', 'max', '=', '\n', '5/5m', '\0', '\u00ff', '[', ']',
    '__proto__', 'enabled=true\n', 'default=', '-', 'constructor=1\n', '\\\n', ';', '2001:db8::=3\n']
  for (let i = 0; i < 2000; i += 1) {
    let text = ''
    for (let length = random(20); length > 0; length -= 1) text += pieces[random(pieces.length)]
    const ini = require('haraka-config/lib/readers/ini')
    ini.logger = () => {}
    assert.ok(readSettings(ini.parseIni('limit.ini', {}, text)).lines.length < 30)
  }
})
