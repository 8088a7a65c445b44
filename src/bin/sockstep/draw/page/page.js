'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  // The page's own words. A course may have others: sockstep's --words FILE puts them over these.
  const words = Object.assign({
    first: 'To the beginning', back: 'One step back', play: 'Play', pause: 'Pause', next: 'One step on', moment: 'Moment', speed: 'Speed',
    ladder: 'What happened', step: 'Step', call: 'Call', source: 'Source', sockets: 'Sockets', bytes: 'Bytes', line: "strace's line",
    client: 'client', server: 'server', process: 'process', thread: 'thread', of: 'of', waited: 'waited', took: 'took', at: 'at', because: 'Because of',
    blocked: 'Blocked now', nobody: 'nobody', none: 'none', descriptor: 'descriptor', kind: 'kind', state: 'state', here: 'here', peer: 'peer', sent: 'sent', received: 'received',
    underway: 'under way', queue: 'queue', partial: 'Of what was asked, the kernel took', cut: 'The datagram was cut: it had', lost: 'The connection was reset', ended: 'The stream has ended',
    text: 'as text', hex: 'in hexadecimal', stream: 'bytes of the stream', more: 'more bytes', prints: 'prints', failed: 'failed', nobytes: 'This call carries no bytes.', nosource: 'No source is known.',
    nosteps: 'No step of a slide.', keys: 'Keys: ← and → step, space plays, Home and End go to the ends. A link to this moment is in the address.', rest: 'events more are not shown',
  }, data.words);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
    node.append(...children.filter((child) => child !== undefined && child !== null));
    return node;
  };
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = words[node.dataset.text];
  for (const node of document.querySelectorAll('[data-word]')) { node.setAttribute('aria-label', words[node.dataset.word]); node.title = words[node.dataset.word]; }
  document.title = data.title + ' - sockstep';
  $('title').textContent = data.title;
  $('foot').textContent = words.keys + (data.rest ? ' ' + data.rest + ' ' + words.rest + '.' : '');
  const events = data.events, tasks = data.tasks;
  const place = new Map(events.map((event, at) => [event.id, at]));
  const time = (ns) => ns < 1e6 ? Math.round(ns / 1e3) + ' µs' : ns < 1e9 ? (ns / 1e6).toFixed(ns < 1e7 ? 1 : 0) + ' ms' : (ns / 1e9).toFixed(1) + ' s';
  const number = (n) => n.toLocaleString('en');
  const bytesOf = (hex) => { const all = new Uint8Array(hex.length / 2); for (let i = 0; i < all.length; i++) all[i] = parseInt(hex.substr(2 * i, 2), 16); return all; };
  const shown = (byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : byte === 10 ? '⏎' : '·';
  const start = events.find((event) => event.t !== null)?.t ?? 0;

  // ---- The lanes: a column for each task, a row for each event ----
  const columns = [...tasks.keys()].sort((a, b) => (tasks[a].side === tasks[b].side ? a - b : tasks[a].side === 'client' ? -1 : 1)).filter((task) => events.some((event) => event.task === task));
  const columnOf = new Map(columns.map((task, at) => [task, at + 1]));
  const name = (task) => { const it = tasks[task]; return words[it.side] + (it.program ? ' ' + it.program : '') + (it.number > 1 ? ' [' + it.number + '] ' + words[it.thread ? 'thread' : 'process'] : ''); };
  const grid = $('grid');
  grid.style.gridTemplateColumns = 'repeat(' + Math.max(columns.length, 1) + ', minmax(0, 1fr))';
  const put = (node, row, column) => { node.style.gridRow = row; node.style.gridColumn = column; grid.append(node); };
  for (const task of columns) put(make('div', { class: 'head ' + tasks[task].side }, name(task)), 1, columnOf.get(task));
  const boxes = [], rowOf = [], pale = [];
  let row = 2;
  events.forEach((event, at) => {
    const side = tasks[event.task].side, column = columnOf.get(event.task);
    if (event.heading) { const heading = make('div', { class: 'heading ' + side }, event.heading); put(heading, row++, column); pale.push([at, heading]); }
    const failed = event.kind === 'call' && /^-1|^E[A-Z]/.test(event.result);
    const box = make('button', { type: 'button', class: 'event ' + side + (failed ? ' failed' : '') + (event.kind === 'call' ? '' : event.kind === 'words' ? ' words' : ' end') }, event.short);
    if (event.waited >= 1e6) box.append(make('small', {}, words.waited + ' ' + time(event.waited)));
    if (event.note) box.append(make('small', {}, event.note));
    if (event.waited >= 1e6) box.style.minHeight = (1.7 + Math.min(5, 1.3 * Math.log10(event.waited / 1e6 + 1))) + 'em';
    box.addEventListener('click', () => go(at));
    put(box, row, column);
    boxes.push(box); rowOf.push(row++); pale.push([at, box]);
  });
  // Where a task waits while others go on.
  events.forEach((event, at) => {
    if (!(event.waited >= 1e6)) return;
    let from = at;
    while (from > 0 && events[from - 1].t >= event.entered && events[from - 1].task !== event.task) from--;
    if (from < at) { const bar = make('div', { class: 'wait', 'aria-hidden': 'true' }); bar.style.gridRow = rowOf[from] + ' / ' + rowOf[at]; bar.style.gridColumn = columnOf.get(event.task); grid.append(bar); pale.push([from, bar]); }
  });

  // ---- Arrows from causes to effects ----
  const svg = (tag, attributes) => { const node = document.createElementNS('http://www.w3.org/2000/svg', tag); for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value); return node; };
  const arrows = [];
  const drawArrows = () => {
    $('arrows')?.remove(); arrows.length = 0;
    const layer = svg('svg', { id: 'arrows', 'aria-hidden': 'true', width: grid.scrollWidth, height: grid.scrollHeight });
    const defs = svg('defs', {}), marker = svg('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' });
    marker.append(svg('path', { d: 'M0 0 L8 4 L0 8 z' })); defs.append(marker); layer.append(defs);
    events.forEach((event, at) => {
      for (const cause of event.causes) {
        const from = place.get(cause);
        if (from === undefined || events[from].task === event.task) continue;
        const a = boxes[from], b = boxes[at], right = a.offsetLeft < b.offsetLeft;
        const x1 = right ? a.offsetLeft + a.offsetWidth : a.offsetLeft, y1 = a.offsetTop + a.offsetHeight / 2;
        const x2 = right ? b.offsetLeft - 1 : b.offsetLeft + b.offsetWidth + 1, y2 = b.offsetTop + Math.min(12, b.offsetHeight / 2);
        const kind = event.meets === 'reset' ? ' reset' : event.meets === 'fin' ? ' ends' : '';
        const path = svg('path', { d: 'M' + x1 + ' ' + y1 + ' L' + x2 + ' ' + y2, 'marker-end': 'url(#tip)', class: kind.trim() });
        const label = event.meets === 'reset' ? 'RST' : event.meets === 'fin' ? 'FIN' : events[from].name === 'connect' ? 'SYN' : event.moved.length ? number(event.moved[0].length) + ' B' : '';
        const text = svg('text', { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 3, 'text-anchor': 'middle' }); text.textContent = label;
        layer.append(path, text); arrows.push([at, path, text, from]);
      }
    });
    grid.append(layer); paint();
  };

  // ---- The panes ----
  const table = (heads, rows) => make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': heads.join(', ') }, make('table', {}, make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))), make('tbody', {}, ...rows.map(([current, cells]) => make('tr', { 'aria-current': current ? 'true' : null }, ...cells.map((cell) => make('td', {}, String(cell))))))));
  const stepsPane = (event) => {
    const side = tasks[event.task].side, steps = [...new Set(events.filter((other) => tasks[other.task].side === side && other.step).map((other) => other.step))];
    if (!steps.length) return [make('p', {}, words.nosteps)];
    const list = make('ol', { class: 'steps' }, ...steps.map((step) => make('li', { 'aria-current': step === event.step ? 'step' : null }, step)));
    return [list, event.explain ? make('p', {}, event.explain) : null];
  };
  const sourcePane = (event) => {
    const all = data.sources[tasks[event.task].side] || [];
    if (!all.length) return [make('p', {}, words.nosource)];
    return [make('div', { class: 'two' }, ...all.map((source, at) => {
      const line = (event.lines || [])[at];
      const code = make('div', { class: 'code lines', tabindex: 0, role: 'region', 'aria-label': source.name });
      source.text.split('\n').forEach((text, index) => {
        const here = index + 1 === line, row = make(here ? 'mark' : 'span', {}, make('span', { class: 'n' }, String(index + 1).padStart(4) + ' '), text);
        code.append(row, '\n'); if (here) code.here = row;
      });
      return make('div', {}, make('h3', {}, source.name + (line ? ':' + line : '')), code);
    }))];
  };
  const state = (at) => { const sockets = new Map(); for (let i = 0; i <= at; i++) for (const socket of events[i].sockets) sockets.set(socket.id, socket); return sockets; };
  const socketsPane = (event, at) => {
    const rows = [...state(at).values()].filter((socket) => socket.state !== 'closed' || event.socket === socket.id);
    if (!rows.length) return [make('p', {}, words.none)];
    return [table([words.descriptor, words.kind, words.state, words.here, words.peer, words.sent, words.received, words.underway, words.queue], rows.map((socket) => [socket.id === event.socket, [words[socket.side] + (socket.fds.length ? ' ' + socket.fds.join(', ') : ''), socket.kind, socket.state, socket.local || '', socket.remote || '', number(socket.sent), number(socket.received), socket.underway === null ? '' : number(socket.underway), socket.queue === null ? '' : socket.queue]]))];
  };
  const bytesPane = (event) => {
    const out = [];
    for (const moved of event.moved) {
      if (moved.from !== null && moved.from !== undefined) out.push(make('p', {}, words.stream + ' ' + number(moved.from) + '–' + number(moved.from + moved.length) + (moved.asked > moved.length && moved.sent ? '. ' + words.partial + ' ' + number(moved.length) + ' ' + words.of + ' ' + number(moved.asked) : '')));
      if (moved.whole > moved.length) out.push(make('p', { class: 'remark' }, words.cut + ' ' + number(moved.whole) + ' B, ' + number(moved.whole - moved.length) + ' B ' + words.lost));
    }
    if (!event.hex) return out.length ? out : [make('p', {}, words.nobytes)];
    const bytes = bytesOf(event.hex), lines = [];
    for (let i = 0; i < bytes.length; i += 16) { const part = [...bytes.slice(i, i + 16)]; lines.push(String(i).padStart(5) + '  ' + part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(48) + ' ' + part.map(shown).join('')); }
    out.push(make('div', { class: 'code bytes', tabindex: 0, role: 'region', 'aria-label': words.hex }, lines.join('\n')));
    return out;
  };
  const callPane = (event, at) => {
    const out = [make('p', {}, make('strong', {}, name(event.task) + ': '), event.short)];
    if (event.t !== null) out.push(make('p', {}, words.at + ' ' + time(event.t - start) + (event.waited !== null ? ', ' + words.took + ' ' + time(event.waited) : '')));
    if (event.causes.length) out.push(make('p', {}, words.because + ' ' + event.causes.map((id) => { const cause = events[place.get(id)]; return cause ? name(cause.task) + ' ' + cause.short : ''; }).filter(Boolean).join('; ')));
    for (const remark of event.remarks) out.push(make('p', { class: 'remark' }, remark));
    const blocked = columns.filter((task) => task !== event.task).map((task) => events.find((other, where) => where > at && other.task === task)).filter((other) => other && event.t !== null && other.waited >= 1e6 && other.entered <= event.t);
    out.push(make('p', {}, words.blocked + ': ' + (blocked.length ? blocked.map((other) => name(other.task) + ' ' + words.at + ' ' + other.name).join(', ') : words.nobody)));
    return out;
  };

  // ---- The moment ----
  let now = 0, timer = null;
  const paint = () => {
    for (const [at, node] of pale) node.classList.toggle('future', at > now);
    for (const [at, path, text, from] of arrows) { const future = at > now; path.classList.toggle('future', future); text.classList.toggle('future', future); path.classList.toggle('now', at === now || from === now); }
  };
  const fill = (id, nodes) => $(id).replaceChildren(...nodes.filter(Boolean));
  const go = (at, keep) => {
    if (!events.length) return;
    boxes[now]?.removeAttribute('aria-current');
    now = Math.max(0, Math.min(events.length - 1, at));
    const event = events[now], box = boxes[now];
    box.setAttribute('aria-current', 'step');
    $('slider').value = now + 1;
    $('slider').setAttribute('aria-valuetext', (now + 1) + ' ' + words.of + ' ' + events.length);
    $('count').textContent = (now + 1) + ' ' + words.of + ' ' + events.length;
    $('live').textContent = (event.step ? event.step + ': ' : '') + name(event.task) + ' ' + event.short + (event.remarks.length ? ' - ' + event.remarks.join(' ') : '');
    fill('step', stepsPane(event)); fill('call', callPane(event, now)); fill('source', sourcePane(event)); fill('sockets', socketsPane(event, now)); fill('bytes', bytesPane(event));
    $('line').textContent = event.line;
    for (const code of document.querySelectorAll('#source .code')) if (code.here) code.scrollTop = code.here.offsetTop - code.offsetTop - code.clientHeight / 2;
    paint();
    if (!keep) history.replaceState(null, '', '#t=' + (now + 1));
    const room = $('lanes').getBoundingClientRect(), seen = box.getBoundingClientRect();
    if (seen.top < Math.max(room.top, 0) || seen.bottom > Math.min(room.bottom, innerHeight)) box.scrollIntoView({ block: 'center', inline: 'nearest' });
  };
  const stop = () => { clearInterval(timer); timer = null; $('play').textContent = '▶'; $('play').setAttribute('aria-label', words.play); };
  const play = () => {
    if (timer) return stop();
    if (now === events.length - 1) go(0);
    $('play').textContent = '❚❚'; $('play').setAttribute('aria-label', words.pause);
    timer = setInterval(() => (now < events.length - 1 ? go(now + 1) : stop()), Number($('speed').value));
  };
  $('slider').max = Math.max(1, events.length);
  $('slider').addEventListener('input', () => { stop(); go(Number($('slider').value) - 1); });
  $('speed').addEventListener('change', () => { if (timer) { stop(); play(); } });
  $('first').addEventListener('click', () => { stop(); go(0); });
  $('back').addEventListener('click', () => { stop(); go(now - 1); });
  $('next').addEventListener('click', () => { stop(); go(now + 1); });
  $('play').addEventListener('click', play);
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.('select, input')) return;
    const act = { ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), Home: () => go(0), End: () => go(events.length - 1) }[event.key];
    if (event.key === ' ' && !event.target.matches?.('button:not(.event)')) { event.preventDefault(); play(); }
    else if (act) { event.preventDefault(); stop(); act(); }
  });
  const wanted = () => { const found = /^#t=(\d+)$/.exec(location.hash); return found ? Number(found[1]) - 1 : 0; };
  addEventListener('hashchange', () => go(wanted(), true));
  addEventListener('resize', drawArrows);
  go(wanted(), true); drawArrows();
})();
