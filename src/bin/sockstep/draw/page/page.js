'use strict';
(() => {
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = json('data'), words = Object.assign(json('words'), data.own);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
    node.append(...children.filter((child) => child !== undefined && child !== null));
    return node;
  };
  const draw = (tag, attributes, ...children) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  document.documentElement.lang = words.lang;
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = words[node.dataset.text];
  for (const node of document.querySelectorAll('[data-word]')) { node.setAttribute('aria-label', words[node.dataset.word]); node.title = words[node.dataset.word]; }
  document.title = data.title + ' - sockstep';
  $('title').textContent = $('title').title = data.title;

  const number = (n) => n.toLocaleString(words.lang);
  const time = (ns) => ns < 1e6 ? number(Math.round(ns / 1e3)) + ' µs' : ns < 1e9 ? number(Math.round(ns / (ns < 1e7 ? 1e5 : 1e6)) / (ns < 1e7 ? 10 : 1)) + ' ms' : number(Math.round(ns / 1e8) / 10) + ' s';
  const bytesOf = (hex) => { const all = []; for (let i = 0; i < hex.length; i += 2) all.push(parseInt(hex.substr(i, 2), 16)); return all; };
  const shown = (byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : byte === 10 ? '↵' : '·';
  const unique = (list) => [...new Set(list)];

  // ---- A run: its events, its moments, its columns ----
  // A moment is an event's end, or the beginning of one that waits while others go on.
  const LANES = 10;
  const momentsOf = (events) => {
    const moments = [];
    const at = (moment) => moment.begins ? moment.event.entered : moment.event.waits ? moment.event.left : moment.event.entered ?? moment.event.left;
    for (const event of events) {
      if (event.waits && (event.open || event.entered !== undefined)) {
        let place = moments.length;
        while (place > 0 && moments[place - 1].event.task !== event.task && moments[place - 1].event.task !== undefined && at(moments[place - 1]) >= event.entered) place--;
        if (event.open || place < moments.length) moments.splice(place, 0, { event, begins: true });
      }
      if (!event.open) moments.push({ event, begins: false });
    }
    moments.forEach((moment, index) => { moment.at = at(moment); moment.event[moment.begins ? 'start' : 'end'] = index; });
    for (const event of events) if (event.open) event.end = moments.length; // it has not returned
    return moments;
  };
  const abreast = (order) => order.map(([event, mate], index) => {
    for (const it of [event, mate]) if (it) it.end = index;
    return { event, mate, begins: false };
  }).filter(({ event, mate }) => events.includes(event) || events.includes(mate));
  // Two runs as one: their numbers are made different, and what a comparison has put in one row stands in one.
  const APART = 1e9;
  const beside = (both) => {
    const parts = both.map((run, which) => {
      const tasks = both.slice(0, which).reduce((all, other) => all + other.tasks.length, 0), explained = both.slice(0, which).reduce((all, other) => all + other.explain.length, 0), id = (n) => n === undefined ? undefined : n + which * APART;
      const socket = (it) => ({ ...it, id: id(it.id), peer: id(it.peer), queue: it.queue?.map(id), fds: it.fds.map(([task, fd]) => [task + tasks, fd]), run: run.title });
      const moved = (it) => ({ ...it, stream: it.stream && it.stream + ' ' + which });
      const event = (it) => ({ ...it, id: id(it.id), task: it.task === undefined ? undefined : it.task + tasks, socket: id(it.socket), causes: it.causes?.map(id), whom: it.whom?.map((task) => task + tasks), explain: it.explain === undefined ? undefined : it.explain + explained, sockets: it.sockets?.map(socket), moved: it.moved?.map(moved) });
      return { tasks: run.tasks.map((task) => ({ ...task, run: run.title })), events: run.events.map(event) };
    });
    const [left, right] = parts.map((part) => part.events), order = [], shown = new Set(), place = new Map(), byId = new Map(), byRow = new Map(), previous = new Map(), last = new Map();
    right.forEach((event, at) => {
      place.set(event, at); byId.set(event.id, event);
      if (event.diff && !byRow.has(event.diff.row)) byRow.set(event.diff.row, event);
      if (event.task !== undefined) { previous.set(event, last.get(event.task)); last.set(event.task, event); }
    });
    const show = (...events) => { order.push(events); for (const it of events) shown.add(it); };
    // An event of the right run needs all earlier events of its task, and their causes. Others that happened to come before it
    // may follow it here, since the rows keep the left run's order.
    const before = (event) => {
      const found = new Set(), open = [event];
      while (open.length) {
        const it = open.pop();
        for (const one of [previous.get(it), ...(it.causes || []).map((id) => byId.get(id))]) if (one && one !== event && !shown.has(one) && !found.has(one)) { found.add(one); open.push(one); }
      }
      return [...found].sort((one, other) => place.get(one) - place.get(other));
    };
    for (const event of left) {
      const mate = event.diff && byRow.get(event.diff.row);
      if (!mate || shown.has(mate)) { show(event); continue; }
      before(mate).forEach((it) => show(it));
      show(event, mate);
    }
    for (const event of right) if (!shown.has(event)) show(event);
    return { steps: both[0].steps, sources: both[0].sources, explain: both.flatMap((run) => run.explain), tasks: parts.flatMap((part) => part.tasks), events: order.flat(), order, runs: both.map((run) => run.title) };
  };
  const note = (seen, event) => seen.set(event.task, { from: Math.min(seen.get(event.task)?.from ?? Infinity, event.start ?? event.end), until: Math.max(seen.get(event.task)?.until ?? 0, event.end) });
  let scene, events, tasks, moments, columns, place, streams;
  const open = (chosen) => {
    scene = chosen.both ? beside(chosen.both) : chosen; events = scene.events; tasks = scene.tasks;
    // A socket that was made, asked something and closed is a library's: getaddrinfo's, it may be.
    const last = new Map(events.flatMap((event) => event.sockets || []).map((socket) => [socket.id, socket]));
    const counts = (event) => !last.has(event.socket) || last.get(event.socket).counts || last.get(event.socket).fds.length > 0;
    if (events.some((event) => event.socket !== undefined && counts(event))) events = events.filter(counts);
    moments = scene.order ? abreast(scene.order) : momentsOf(events);
    place = new Map(events.map((event) => [event.id, event]));
    // The columns: the client's tasks left, the server's right. One that comes when another has ended takes its place.
    columns = [];
    for (const run of unique(tasks.map((task) => task.run))) for (const side of ['client', 'server']) {
      const lanes = [], seen = new Map();
      for (const { event, mate } of moments) for (const it of [event, mate]) if (it && it.task !== undefined && tasks[it.task].side === side && tasks[it.task].run === run) note(seen, it);
      const source = (task) => tasks[task].source || 0, own = [...seen.keys()].sort((a, b) => source(a) - source(b) || seen.get(a).from - seen.get(b).from);
      own.forEach((id, at) => {
        const { from, until } = seen.get(id), task = tasks[id];
        let lane = own.length > LANES && lanes.find((it) => it.until < from);
        if (!lane) { lane = { side, run, tasks: [], until: 0 }; lanes.push(lane); }
        lane.tasks.push(id); lane.until = until;
        task.lane = lane; task.tag = at || source(own[0]) !== source(own.at(-1)) ? ' [' + (at + 1) + ']' : '';
      });
      columns.push(...lanes);
    }
    document.querySelector('main').classList.toggle('wide', columns.length > 2);
    // Keep each stream's pieces in order, so that a receive finds the sends of its bytes.
    streams = new Map();
    for (const event of events) for (const moved of event.moved || []) {
      if (!moved.stream || !moved.sent || event.moved.filter((other) => other.stream).length > 1) continue;
      if (!streams.has(moved.stream)) streams.set(moved.stream, []);
      streams.get(moved.stream).push({ from: moved.from, bytes: bytesOf(event.hex || '').slice(0, moved.length), end: event.end });
    }
  };
  const name = (task) => { const it = tasks[task]; return (it.run ? it.run + ' ' : '') + words[it.side] + (it.tag || ''); };
  // A task waits for the tasks of its call's causes; where there are none, the recording may name a guess.
  const waitsFor = (event) => {
    const causes = unique((event.causes || []).map((id) => place.get(id)).filter((cause) => cause && cause.task !== event.task).map((cause) => cause.task));
    const whom = causes.length ? causes : (event.whom || []).filter((task) => task !== event.task && tasks[task].lane);
    if (whom.length) return { tasks: whom, sure: causes.length > 0, text: whom.map(name).join(', ') };
    return { tasks: [], text: event.name === 'accept' ? words.a_client : words[event.waits] };
  };
  const waiting = (now) => {
    const found = new Map();
    for (const event of events) if (event.start !== undefined && event.start <= now && now < event.end) found.set(tasks[event.task].lane, event);
    return found;
  };
  const stuck = (event, all) => event.deadlock || [...all.values()].some((other) => other.deadlock && waitsFor(other).tasks.includes(event.task) && waitsFor(event).tasks.includes(other.task));

  // ---- The ladder ----
  let boxes, later, arrows, heads;
  const grid = $('grid');
  const put = (node, row, column, at) => { node.style.gridRow = row; node.style.gridColumn = column; grid.append(node); if (at !== undefined) later.push([at, node]); return node; };
  const column = (task) => 2 * columns.indexOf(tasks[task].lane) + 1;
  const PER_MS = 4, MOST = 36;
  const drawLadder = () => {
    grid.replaceChildren(); boxes = []; later = []; arrows = []; heads = new Map();
    const tips = draw('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto' }, draw('path', { d: 'M0 0 L8 4 L0 8 z' }));
    grid.append(draw('svg', { id: 'tips', width: 0, height: 0, 'aria-hidden': 'true', class: 'off' }, draw('defs', {}, tips)));
    grid.style.gridTemplateColumns = columns.map((_, at) => (at ? 'minmax(min(2.6rem, max(1.4rem, var(--least))), min(4rem, ' + 30 / columns.length + '%)) ' : '') + 'minmax(' + 'min(' + (columns.length > 2 ? '10rem' : '8rem') + ', var(--least)), 1fr)').join(' ');
    columns.forEach((lane, at) => {
      const first = tasks[lane.tasks[0]], status = make('span', {});
      const program = first.program || (first.tag ? words[first.thread ? 'thread' : 'process'] : tasks.find((task) => task.side === lane.side && task.run === lane.run && task.program)?.program);
      const named = name(lane.tasks[0]) + (lane.tasks.length > 1 ? ' … ' + tasks[lane.tasks.at(-1)].tag.trim() : '');
      put(make('div', { class: 'head ' + lane.side }, make('div', {}, named + ' ', make('em', {}, program || '')), status), 1, 2 * at + 1);
      if (at) put(make('div', { class: 'behind' }), 1, 2 * at);
      heads.set(lane, status);
    });
    if (scene.runs) columns.forEach((lane, at) => { if (at && lane.run !== columns[at - 1].run) put(make('div', { class: 'between', 'aria-hidden': 'true' }), '1 / 9999', 2 * at); });
    if (!columns.length) put(make('p', { class: 'quiet' }, words.no_events), 2, 1);
    let row = 2, clock;
    const rows = [], steps = new Map(), breaks = [];
    moments.forEach((moment, at) => {
      const { event, begins } = moment;
      if (moment.at !== undefined) {
        const gap = clock === undefined ? 0 : (moment.at - clock) / 1e6 * PER_MS;
        if (gap >= 4) {
          const room = make('div', { 'aria-hidden': 'true' });
          room.style.height = Math.min(gap, MOST) + 'px';
          put(room, row, '1');
          if (gap > MOST) breaks.push({ row, at, length: moment.at - clock });
          row++;
        }
        clock = Math.max(clock ?? 0, moment.at);
      }
      if (event.task === undefined) { // what repeats itself
        const sides = ['client', 'server'].map((side, which) => event.names.filter((it) => it[0] === side).map((it) => it[1] + ' × ' + number(it[2])).join(', ') + (event.sent[which] ? ', ' + number(event.sent[which]) + ' ' + words[which ? 'to_client' : 'to_server'] : ''));
        const box = make('button', { type: 'button', class: 'event fold', tabindex: -1 }, make('strong', {}, number(event.count) + ' ' + words[event.kind === 'left' ? 'left_out' : 'repeats']), ...sides.map((text, which) => text && make('small', {}, words[which ? 'server' : 'client'] + ': ' + text)), event.left ? make('small', {}, time(event.left - event.entered)) : null);
        box.addEventListener('click', () => go(at));
        boxes.push(put(box, row, '1 / -1', at)); rows.push(row++); event.row = row - 1;
        return;
      }
      const pair = [event, moment.mate].filter(Boolean);
      for (const it of pair) {
        const { side, lane } = tasks[it.task];
        if ((begins || it.start === undefined) && it.step && steps.get(lane) !== it.step) { steps.set(lane, it.step); put(make('div', { class: 'heading ' + side }, it.step), row, column(it.task), at); it.headed = true; }
      }
      if (pair.some((it) => it.headed)) row++;
      pair.forEach((it, which) => { const box = drawBox(it, begins, at, row); if (which) boxes.at(-1).mate = box; else boxes.push(box); });
      rows.push(row++);
      if (!begins || event.open) for (const it of pair) for (const remark of it.remarks || []) put(make('p', { class: 'note' }, remark), row++, column(it.task), at);
    });
    const open = events.filter((event) => event.open && event.start !== undefined);
    if (open.length) {
      const room = make('div', { 'aria-hidden': 'true' });
      room.style.height = MOST + 'px';
      put(room, row, '1');
      for (const event of open) { event.row = row + 1; put(make('div', { class: 'break' }, event.note + (event.left > event.entered ? ', ' + words.waited + ' ' + time(event.left - event.entered) : '')), row, column(event.task), event.start); }
    }
    for (const event of events) {
      if (event.start === undefined) continue;
      // The box of one that waits reaches from its beginning to its end.
      const stem = make('div', { class: 'stem', 'aria-hidden': 'true' });
      put(stem, event.from + ' / ' + event.row, column(event.task), event.start);
      const cut = breaks.filter((it) => it.row > event.from && it.row < event.row).sort((a, b) => b.length - a.length)[0];
      if (cut && !event.open) put(make('div', { class: 'break' }, time(event.left - event.entered)), cut.row, column(event.task), event.start);
    }
    for (const event of events) drawArrows(event);
    for (const event of events) if (event.kind === 'call' && !event.met) drawStub(event);
  };
  const drawBox = (event, begins, at, row) => {
    const { side, lane } = tasks[event.task];
    const kind = event.kind === 'call' ? '' : ' ' + event.kind;
    const text = event.kind === 'words' ? '| ' + event.short : event.kind === 'signal' ? '--- ' + event.short + ' ---' : event.kind === 'end' ? '+++ ' + event.short + ' +++' : event.kind === 'unknown' ? '? ' + event.short : begins ? begun(event) : event.short;
    const box = make('button', { type: 'button', tabindex: -1, class: 'event ' + side + kind + (event.failed && !begins ? ' failed' : '') + (begins ? ' begun' : event.start !== undefined ? ' back' : '') }, text);
    if (lane.tasks.length > 1) box.prepend(make('small', {}, name(event.task)));
    const waited = event.waits && event.left - event.entered;
    if (!begins && event.note) box.append(make('small', {}, event.note));
    if (!begins && waited >= 1e6 && event.start === undefined) {
      box.append(make('small', {}, words.waited + ' ' + time(waited)));
      box.style.minHeight = 20 + Math.min(MOST, waited / 1e6 * PER_MS) + 'px';
    }
    mark(box, event);
    box.addEventListener('click', () => { if (String(getSelection()) === '') go(at); });
    if (begins) event.from = row; else event.row = row;
    return put(box, row, column(event.task), at);
  };
  const begun = (event) => { const end = event.short.search(/[,)]/); return event.short.slice(0, end < 0 ? undefined : end) + (event.short[end] === ',' ? ', …' : ') …'); };
  const mark = (box, event) => {
    if (!event.diff || event.diff.kind === 'same') return;
    const differs = event.diff.kind === 'different' || event.diff.kind === 'only';
    if (differs) box.classList.add('differs');
    if (event.diff.kind !== 'normalised') box.append(make('span', { class: 'diff' + (differs ? ' differs' : '') }, (differs ? '≠ ' : '≈ ') + words[event.diff.kind]));
  };
  const drawArrows = (event) => {
    for (const id of event.causes || []) {
      const cause = place.get(id);
      if (!cause || !cause.row || cause.task === undefined || tasks[cause.task].lane === tasks[event.task].lane) continue;
      const meets = (event.moved || []).find((moved) => moved.meets)?.meets;
      const data = (event.moved || []).find((moved) => moved.length && !moved.sent);
      const of = (cause.moved || []).find((moved) => moved.sent && moved.stream === data?.stream);
      const crossed = !data ? 0 : of?.stream ? Math.min(of.from + of.length, data.from + data.length) - Math.max(of.from, data.from) : data.whole || data.length;
      const label = data && crossed > 0 ? number(crossed) + ' B' : packet(event, meets) || (cause.name === 'connect' ? packet(event, 'syn') : '');
      const kind = meets === 'reset' ? ' reset' : meets ? ' end' : '';
      cause.met = true;
      arrow(event, label, kind, cause.row, event.row, column(cause.task), column(event.task), cause.end, event.causes.length > 1);
    }
  };
  // A Unix-domain socket has no packets, and no names for them.
  const PACKETS = { syn: 'SYN', fin: 'FIN', reset: 'RST' };
  const packet = (event, kind) => !kind ? '' : event.plain ? PACKETS[kind] : kind === 'syn' ? '' : words[kind === 'fin' ? 'end' : kind];
  const arrow = (event, label, kind, from, to, one, other, cause, many) => {
    const right = one < other, line = draw('line', { x1: right ? 0 : '100%', y1: 0, x2: right ? '100%' : 0, y2: to > from ? '100%' : 0, 'marker-end': 'url(#tip)' });
    const node = draw('svg', { class: 'arrow' + kind, 'aria-hidden': 'true' }, line);
    const rows = from + ' / ' + Math.max(to, from + 1), gaps = (Math.min(one, other) + 1) + ' / ' + Math.max(one, other);
    put(node, rows, gaps, event.end);
    arrows.push([event.end, cause, node]);
    if (label) { const text = put(make('span', { class: 'label' + kind, 'aria-hidden': 'true' }, label), rows, gaps, event.end); if (many) text.style.justifySelf = right ? 'start' : 'end'; else if (to > from + 1) text.style.alignSelf = 'center'; }
  };
  // Sent, but no recorded call received it: where the arrow would end is unknown, so half of it is drawn.
  const drawStub = (event) => {
    const sent = (event.moved || []).find((moved) => moved.sent && moved.length), ends = (event.moved || []).find((moved) => moved.ends)?.ends;
    const label = sent ? number(sent.length) + ' B' : packet(event, ends || (event.name === 'connect' && (event.failed || event.open) ? 'syn' : ''));
    const [row, at] = event.open && event.start !== undefined ? [event.from, event.start] : [event.row, event.end];
    const own = column(event.task), client = tasks[event.task].side === 'client', gap = client ? own + 1 : own - 1;
    const next = columns[columns.indexOf(tasks[event.task].lane) + (client ? 1 : -1)];
    if (!label || !next || next.run !== tasks[event.task].run) return;
    const kind = ends === 'reset' ? ' reset' : ends ? ' end' : '';
    const line = draw('line', { x1: client ? 0 : '100%', y1: 0, x2: client ? '60%' : '40%', y2: 0, 'marker-end': 'url(#tip)' });
    const node = put(draw('svg', { class: 'arrow' + kind, 'aria-hidden': 'true' }, line), row, gap, at);
    arrows.push([at, at, node]);
    put(make('span', { class: 'label' + kind, 'aria-hidden': 'true' }, label), row, gap, at);
  };

  // ---- The panes ----
  const toggled = new Set();
  const toggle = (key, more, less) => {
    const button = make('button', { type: 'button', class: 'link', 'aria-expanded': String(toggled.has(key)) }, toggled.has(key) ? less : more);
    button.addEventListener('click', () => { if (!toggled.delete(key)) toggled.add(key); show(); [...document.querySelectorAll('.link')].find((it) => it.dataset.key === key)?.focus(); });
    button.dataset.key = key;
    return button;
  };
  const stepPane = (event) => {
    if (event.task === undefined) return [];
    const { side, run } = tasks[event.task];
    const own = scene.steps[side] || [], seen = events.filter((other) => other.step && tasks[other.task].side === side).map((other) => other.step);
    const steps = unique([...own, ...seen.filter((step) => !own.includes(step) && !own.some((it) => it.split('.')[0] === step.split('.')[0]))]);
    const is = (step) => step === event.step || (event.step && !own.includes(event.step) && step.split('.')[0] === event.step.split('.')[0]);
    const explained = event.explain === undefined ? null : make('p', {}, scene.explain[event.explain]);
    if (!steps.length) return [make('p', { class: 'quiet' }, words.no_steps), explained];
    return [make('ol', { class: 'steps' }, ...steps.map((step) => make('li', { 'aria-current': is(step) ? 'step' : null }, is(step) ? event.step : step))), explained];
  };
  const callPane = (event, begins, now) => {
    if (event.task === undefined) return [make('p', {}, boxes[event.end].textContent)];
    const out = [make('p', {}, make('strong', { class: tasks[event.task].side }, name(event.task) + ' '), make('code', {}, begins ? begun(event) : event.kind === 'words' ? words.prints + ' ' + event.short : event.short))];
    if (event.note && !begins) out.push(make('p', {}, event.note));
    const at = moments[now].at, waited = event.left - event.entered;
    if (at !== undefined) out.push(make('p', { class: 'quiet' }, words.at + ' ' + time(Math.max(0, at - origin)) + (!begins && event.kind === 'call' && waited >= 0 ? ', ' + words[event.waits && waited >= 1e6 ? 'waited' : 'took'] + ' ' + time(waited) : '')));
    if (!begins && (event.causes || []).some((id) => place.get(id))) out.push(make('p', {}, words.because + ' ' + event.causes.map((id) => place.get(id)).filter(Boolean).map((cause) => name(cause.task) + ' ' + cause.short).join('; ')));
    if (event.diff) out.push(make('p', { class: 'only different'.includes(event.diff.kind) ? 'remark' : null }, words[event.diff.kind] + (event.diff.why ? ': ' + event.diff.why : '')));
    if (!begins || event.open) for (const remark of event.remarks || []) out.push(make('p', { class: 'remark' }, remark));
    const all = waiting(now);
    for (const [, other] of all) out.push(make('p', {}, make('strong', { class: tasks[other.task].side }, name(other.task) + ' '), status(other, all)));
    return out;
  };
  const AROUND = 4;
  const sourcePane = (event, begins) => {
    const views = event.task === undefined ? [] : sourcesOf(event.task);
    if (!views.length) return [make('p', { class: 'quiet' }, words.no_source)];
    let none = true;
    const nodes = views.map((files, view) => {
      const last = event.lines ? event : events.slice(0, events.indexOf(event)).reverse().find((other) => other.task === event.task && other.lines);
      const [file, told] = last?.lines[view] || [0, []], lines = last === event ? told : [], source = data.files[files[file]], key = 'file ' + view;
      none &&= !lines.length;
      const all = source.text.replace(/\n$/, '').split('\n'), whole = toggled.has(key);
      const centre = (told[0] || 1) - 1, from = whole ? 0 : Math.max(0, Math.min(centre - AROUND, all.length - 2 * AROUND - 1)), until = whole ? all.length : Math.min(all.length, from + 2 * AROUND + 1);
      const part = all.slice(from, until).map((line) => line.replace(/\t/g, '    '));
      const indent = whole ? 0 : Math.min(...part.filter((line) => line.trim()).map((line) => line.length - line.trimStart().length));
      const code = make('div', { class: 'code' + (whole ? ' whole' : '') }, ...part.map((line, index) => {
        const here = lines.includes(from + index + 1);
        return make('div', { class: here ? 'here' : null, 'aria-current': here ? 'true' : null }, make('span', {}, (here ? '▸' : '') + (from + index + 1)), near(line.slice(indent), whole) || ' ');
      }));
      return make('div', {}, make('h3', {}, source.name + (lines.length === 1 ? ':' + lines[0] : ''), toggle(key, words.whole_file, words.show_less)), lines.length > 1 ? make('p', { class: 'quiet' }, words.one_of) : null, code);
    });
    return [make('div', { class: 'two' + (nodes.length < 2 ? ' one' : '') }, ...nodes), none && event.kind === 'call' ? make('p', { class: 'quiet' }, words.no_line) : null];
  };
  // A continuation that is aligned far to the right would not fit the pane.
  const near = (line, whole) => { const text = line.trimStart(); return whole || line.length - text.length < 24 ? line : ' '.repeat(12) + text; };
  const sourcesOf = (task) => scene.sources[tasks[task].side] || [];
  const socketsAt = (now) => {
    const sockets = new Map();
    for (let at = 0; at <= now; at++) if (!moments[at].begins || moments[at].event.open) for (const it of [moments[at].event, moments[at].mate]) for (const socket of it?.sockets || []) sockets.set(socket.id, socket);
    return sockets;
  };
  const descriptors = (socket) => {
    const by = new Map();
    for (const [task, fd] of socket.fds) { if (tasks[task].lane || socket.fds.length === 1) by.set(fd, [...(by.get(fd) || []), task]); }
    const who = (task) => tasks[task].lane ? name(task) : words[tasks[task].side];
    return [...by].map(([fd, own]) => own.map(who).join(', ') + ' ' + fd).join('; ') || words[socket.side];
  };
  const socketsPane = (event, now) => {
    const all = socketsAt(now), { mate } = moments[now];
    const rows = [...all.values()].filter((socket) => (socket.fds.length && socket.state !== 'closed' && (socket.counts || event.socket !== undefined)) || event.socket === socket.id || mate?.socket === socket.id);
    if (!rows.length) return [make('p', { class: 'quiet' }, words.no_sockets)];
    rows.sort((a, b) => (scene.runs ? scene.runs.indexOf(a.run) - scene.runs.indexOf(b.run) : 0) || a.side.localeCompare(b.side) || a.id - b.id);
    const who = (id) => { const socket = all.get(id); return socket ? descriptors(socket) + (socket.local ? ' (' + socket.local + ')' : '') : '?'; };
    const heads = [words.descriptor, words.refers_to, words.address, words.sent, words.received, words.unread_there, words.unread_here];
    const body = rows.map((socket) => {
      const queue = socket.queue ? ', ' + words.queue + ' ' + socket.queue.length + (socket.backlog === undefined ? '' : ' ' + words.of + ' ' + socket.backlog) + (socket.queue.length ? ': ' + socket.queue.slice(0, 9).map(who).join(', ') + (socket.queue.length > 9 ? ', …' : '') : '') : '';
      const here = all.get(socket.peer)?.unread, amount = (n) => n ? number(n) + ' B' : '';
      const cells = [descriptors(socket), socket.kind + ', ' + words[socket.state] + queue, (socket.local || '') + (socket.remote ? ' → ' + socket.remote : ''), amount(socket.sent), amount(socket.received), amount(socket.unread), amount(here)];
      return make('tr', { 'aria-current': socket.id === event.socket || socket.id === mate?.socket ? 'true' : null }, ...cells.map((cell, at) => make('td', { 'data-label': heads[at], class: at > 2 ? 'n' : at ? null : socket.side }, cell)));
    });
    return [make('table', {}, make('thead', {}, make('tr', {}, ...heads.map((head, at) => make('th', { scope: 'col', class: at > 2 ? 'n' : null }, head)))), make('tbody', {}, ...body))];
  };
  const ROW = 8, ROWS = 4;
  // Bytes in rows of hexadecimal digits and of text. `kinds` has what each is: before this call's part, of it (here), or behind it.
  const dump = (bytes, kinds, from) => {
    const node = make('pre', { class: 'dump' });
    const first = Math.floor(from / ROW) * ROW;
    for (let row = first; row < from + bytes.length; row += ROW) {
      const cells = [];
      for (let at = row; at < row + ROW; at++) { const here = at - from; cells.push(here >= 0 && here < bytes.length ? { byte: bytes[here], kind: kinds[here] } : null); }
      const line = (text, gap) => {
        const parts = [];
        cells.forEach((cell, at) => {
          const kind = cell?.kind || 'pad', word = cell ? text(cell.byte) : ' '.repeat(text(0).length);
          const last = parts.at(-1);
          if (last && last.kind === kind) last.text += gap + word; else parts.push({ kind, text: word, gap: at ? gap : '' });
        });
        return parts.flatMap((part) => [part.gap, part.kind === 'here' ? make('mark', {}, part.text) : make('span', { class: part.kind }, part.text)]);
      };
      node.append(make('span', { class: 'before' }, String(row).padStart(5) + '  '), ...line((byte) => byte.toString(16).padStart(2, '0'), ' '), '  ', ...line(shown, ''), '\n');
    }
    return node;
  };
  const bytesPane = (event, begins, now) => {
    const moved = (event.moved || []).find((it) => it.length !== undefined);
    if (begins || (!event.hex && !moved)) return [make('p', { class: 'quiet' }, words.carries_no_bytes)];
    const out = [], of = moved?.stream && (event.moved || []).filter((it) => it.stream).length === 1;
    let bytes = bytesOf(event.hex || ''), kinds = bytes.map(() => 'here'), from = 0;
    if (of) {
      from = moved.from;
      out.push(make('p', {}, number(moved.from) + '–' + number(moved.from + moved.length) + ' ' + words[moved.sent ? 'own_stream' : 'peers_stream'] + (moved.asked > moved.length ? ' (' + words.asked + ' ' + number(moved.asked) + ')' : '')));
      const known = new Map();
      const reach = [moved.from - 2 * ROW, moved.from + moved.length + 2 * ROW];
      for (const piece of streams.get(moved.stream) || []) if (piece.end <= now) piece.bytes.forEach((byte, at) => { const where = piece.from + at; if (where >= reach[0] && where < reach[1]) known.set(where, byte); });
      bytes.forEach((byte, at) => known.set(moved.from + at, byte));
      // Show the bytes around this call's part too, up to a gap.
      let start = moved.from, end = moved.from + Math.min(bytes.length || moved.length, moved.length);
      while (known.has(start - 1)) start--;
      if (bytes.length === moved.length) while (known.has(end)) end++;
      const range = []; for (let at = start; at < end && known.has(at); at++) range.push(at);
      bytes = range.map((at) => known.get(at)); from = start;
      kinds = range.map((at) => at < moved.from ? 'before' : at < moved.from + moved.length ? 'here' : 'behind');
    } else if (moved?.whole > moved?.length) out.push(make('p', {}, number(moved.length) + ' ' + words.of + ' ' + number(moved.whole) + ' B'));
    const whole = toggled.has('bytes'), most = ROW * ROWS + (ROW - from % ROW) % ROW;
    const more = bytes.length - most;
    if (bytes.length) out.push(dump(whole ? bytes : bytes.slice(0, most), kinds, from)); else if (moved?.length) out.push(make('p', { class: 'quiet' }, words.no_bytes));
    if (more > 0) out.push(toggle('bytes', words.show_all + ' (' + number(bytes.length) + ')', words.show_less));
    if (event.more) out.push(make('p', { class: 'quiet' }, number(event.more) + ' ' + words.more_bytes));
    return out;
  };
  const linePane = (event, begins, now) => {
    const { mate } = moments[now];
    const lines = [begins ? begun({ short: event.line }) + ' <unfinished ...>' : event.line];
    if (mate) lines.push(mate.line); else if (event.diff?.kind === 'different') lines.push(event.diff.why);
    if (lines.length < 2) {
      const [text] = lines, long = text.length > 600, cut = long && !toggled.has('line');
      return [make('pre', {}, cut ? text.slice(0, 400) + ' … ' + text.slice(-80) : text), long ? toggle('line', words.show_all, words.show_less) : null];
    }
    // Mark what differs: the common start and end of the two lines stay plain.
    const [one, other] = lines.map((line) => line.replace(/ <[0-9.]+>$/, ''));
    let start = 0, end = 0;
    while (start < Math.min(one.length, other.length) && one[start] === other[start]) start++;
    while (end < Math.min(one.length, other.length) - start && one.at(-1 - end) === other.at(-1 - end)) end++;
    return [one, other].map((line) => make('pre', {}, line.slice(0, start), start < line.length - end ? make('mark', {}, line.slice(start, line.length - end)) : '', line.slice(line.length - end)));
  };

  // ---- The moment ----
  let now = 0, timer = null, origin = 0, chosen;
  const status = (event, all) => words.waits_in + ' ' + event.name + ' ' + words.waits_for + ' ' + waitsFor(event).text + (stuck(event, all) ? ': ' + words.deadlock : '');
  const fill = (id, nodes) => $(id).replaceChildren(...nodes.filter(Boolean));
  const show = () => {
    const { event, begins } = moments[now];
    fill('step', stepPane(event)); fill('call', callPane(event, begins, now)); fill('source', sourcePane(event, begins)); fill('sockets', socketsPane(event, now)); fill('bytes', bytesPane(event, begins, now)); fill('line', linePane(event, begins, now));
  };
  const go = (at, keep) => {
    if (!moments.length) return;
    boxes[now]?.removeAttribute('aria-current'); boxes[now]?.setAttribute('tabindex', -1); boxes[now]?.mate?.classList.remove('also');
    now = Math.max(0, Math.min(moments.length - 1, at));
    const { event, begins } = moments[now], box = boxes[now];
    box.setAttribute('aria-current', 'step'); box.setAttribute('tabindex', 0); box.mate?.classList.add('also');
    $('slider').value = now + 1;
    $('count').textContent = number(now + 1) + ' ' + words.of + ' ' + number(moments.length);
    $('slider').setAttribute('aria-valuetext', $('count').textContent);
    $('live').textContent = $('live').title = event.task === undefined ? number(event.count) + ' ' + words[event.kind === 'left' ? 'left_out' : 'repeats'] : (event.step ? event.step + ': ' : '') + name(event.task) + ' ' + (begins ? status(event, waiting(now)) : event.kind === 'words' ? words.prints + ' ' + event.short : event.short) + (begins ? '' : (event.remarks || []).map((remark) => '. ' + remark).join(''));
    const all = waiting(now);
    for (const [lane, node] of heads) {
      const other = all.get(lane), begun = lane.tasks.some((task) => events.some((it) => it.task === task && (it.start ?? it.end) <= now));
      const over = lane.until <= now && lane.tasks.every((task) => events.some((it) => it.task === task && it.kind === 'end'));
      node.textContent = other ? status(other, all) : !begun ? words.not_yet : over ? words.over : words.runs;
      node.classList.toggle('blocked', !!other); node.classList.toggle('stuck', !!other && stuck(other, all));
    }
    for (const [when, node] of later) node.classList.toggle('later', when > now);
    for (const [when, cause, node] of arrows) node.classList.toggle('now', when === now || cause === now);
    show();
    if (!keep && location.protocol !== 'about:') history.replaceState(null, '', '#' + (data.scenes.length > 1 ? 's=' + (chosen + 1) + '&' : '') + 't=' + (now + 1));
    const room = $('lanes').getBoundingClientRect(), seen = box.getBoundingClientRect(), head = grid.firstElementChild && 60;
    $('lanes').style.scrollBehavior = keep ? 'auto' : '';
    if (seen.top < room.top + head || seen.bottom > room.bottom - 24) $('lanes').scrollTop += seen.top - room.top - room.height / 2;
    if (seen.left < room.left || seen.right > room.right) $('lanes').scrollLeft += seen.left - room.left - 24;
  };
  const shape = (path, word) => { $('play-shape').setAttribute('d', path); $('play').setAttribute('aria-label', words[word]); $('play').title = words[word]; };
  const stop = () => { clearInterval(timer); timer = null; shape('M4 2l10 6-10 6z', 'play'); };
  const play = () => {
    if (timer) return stop();
    if (now === moments.length - 1) go(0);
    shape('M3 2h4v12H3zM9 2h4v12H9z', 'pause');
    timer = setInterval(() => (now < moments.length - 1 ? go(now + 1) : stop()), Number($('speed').value));
  };
  const choose = (which, at, keep) => {
    chosen = which; open(data.scenes[which]); drawLadder();
    origin = moments.find((moment) => moment.at !== undefined)?.at ?? 0;
    $('slider').max = Math.max(1, moments.length); $('scene').value = which;
    now = 0; go(at, keep);
  };
  $('slider').addEventListener('input', () => { stop(); go(Number($('slider').value) - 1); });
  $('speed').addEventListener('change', () => { if (timer) { stop(); play(); } });
  $('first').addEventListener('click', () => { stop(); go(0); });
  $('back').addEventListener('click', () => { stop(); go(now - 1); });
  $('next').addEventListener('click', () => { stop(); go(now + 1); });
  $('play').addEventListener('click', play);
  $('scene').addEventListener('change', () => { stop(); choose(Number($('scene').value), 0); });
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.('select, input')) return;
    const act = { ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), Home: () => go(0), End: () => go(moments.length - 1) }[event.key];
    if (event.key === ' ' && !event.target.matches?.('button:not(.event)')) { event.preventDefault(); play(); }
    else if (act) { event.preventDefault(); stop(); act(); }
  });
  const wanted = (key) => { const found = new RegExp('[#&]' + key + '=(\\d+)').exec(location.hash); return found ? Number(found[1]) - 1 : 0; };
  const follow = () => { const which = Math.max(0, Math.min(data.scenes.length - 1, wanted('s'))); if (chosen !== which) choose(which, wanted('t'), true); else go(wanted('t'), true); };
  addEventListener('hashchange', follow);
  if (data.scenes.length > 1) { $('scene').hidden = false; data.scenes.forEach((it, at) => $('scene').append(make('option', { value: at }, it.title))); }
  follow();
})();
