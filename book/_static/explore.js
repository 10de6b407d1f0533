/* Pictures that a reader can turn over. The data stand in the page, as kernel/interactive.py has put them there;
   nothing is fetched. Without this script, and in print, the page shows a table of the same data. */
(() => {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  let count = 0;

  function make(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function draw(parent, name, attributes = {}, text) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  /* Numbers as the book writes them: a true minus, and a dash where there is none. */
  const number = (value, digits = 2) => value === null ? '–' : value.toFixed(digits).replace('-', '\u2212');

  function labelled(text, control) {
    control.id = `explore-${++count}`;
    return make('span', { class: 'explore-control' }, make('label', { for: control.id }, text), control);
  }

  function choice(options) {
    const select = make('select');
    options.forEach((text, i) => select.append(make('option', { value: i }, text)));
    return select;
  }

  function slider(n, start) {
    return make('input', { type: 'range', min: 0, max: n - 1, step: 1, value: start });
  }

  function button(text, press) {
    const made = make('button', { type: 'button', class: 'explore-button' }, text);
    made.addEventListener('click', press);
    return made;
  }

  const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

  function pearson(x, y) {
    const centred = values => {
      const middle = mean(values);
      return values.map(v => v - middle);
    };
    const [a, b] = [centred(x), centred(y)], dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  }

  /* Random numbers in [0, 1), the same for every reader (mulberry32, in the public domain). */
  function generator(seed) {
    return () => {
      seed = seed + 0x6D2B79F5 | 0;
      let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
      t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
  }

  function shuffled(values, random) {
    const result = [...values];
    for (let i = result.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }

  /* Two parts of a picture, side by side where there is room. */
  function halves(plot) {
    plot.classList.toggle('explore-two', plot.clientWidth > 640);
    const parts = [make('div'), make('div')];
    plot.append(...parts);
    return parts;
  }

  function scale(from, to, start, end) {
    return value => start + (value - from) / (to - from) * (end - start);
  }

  /* Axes with ticks; returns the scales. `x` and `y` hold the range, the ticks and the label. */
  function frame(svg, width, height, { x, y, left = 46 }) {
    const [right, top, bottom] = [20, 12, 42];
    const toX = scale(x.from, x.to, left, width - right), toY = scale(y.from, y.to, height - bottom, top);
    for (const tick of y.ticks) {
      draw(svg, 'line', { x1: left, x2: width - right, y1: toY(tick), y2: toY(tick), class: 'explore-grid' });
      draw(svg, 'text', { x: left - 6, y: toY(tick) + 4, 'text-anchor': 'end' }, number(tick, y.digits ?? 0));
    }
    for (const [i, tick] of x.ticks.entries()) {
      draw(svg, 'line', { x1: toX(tick), x2: toX(tick), y1: top, y2: height - bottom, class: 'explore-grid' });
      const text = x.names ? x.names[i] : number(tick, x.digits ?? 0);
      draw(svg, 'text', { x: toX(tick), y: height - bottom + 16, 'text-anchor': 'middle' }, text);
    }
    const middle = (left + width - right) / 2;
    draw(svg, 'text', { x: middle, y: height - 6, 'text-anchor': 'middle' }, x.label);
    const turn = `rotate(-90 12 ${(top + height - bottom) / 2})`;
    if (y.label)
      draw(svg, 'text', { x: 12, y: (top + height - bottom) / 2, 'text-anchor': 'middle', transform: turn }, y.label);
    return { toX, toY };
  }

  /* A line and the band around it: places across, and the heights of lower edge, line and upper edge. */
  function curve(svg, x, [low, middle, high], tint) {
    const points = y => x.map((place, i) => `${place},${y[i]}`);
    draw(svg, 'polygon', { points: [...points(high), ...points(low).reverse()].join(' '), class: `explore-band explore-fill-${tint}` });
    draw(svg, 'polyline', { points: points(middle).join(' '), class: `explore-line explore-stroke-${tint}` });
  }

  function canvas(parent, label, height) {
    const width = Math.max(240, Math.floor(parent.clientWidth));
    const svg = draw(parent, 'svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group' });
    svg.setAttribute('aria-label', label);
    return { svg, width };
  }

  /* One stop of the Tab key for all marks; the arrow keys go from one to the next. */
  function rove(marks, tell) {
    const go = mark => {
      marks.forEach(other => other.setAttribute('tabindex', other === mark ? 0 : -1));
      tell(mark);
    };
    marks.forEach((mark, i) => {
      mark.setAttribute('tabindex', i ? -1 : 0);
      mark.addEventListener('focus', () => go(mark));
      mark.addEventListener('pointerenter', () => tell(mark));
      mark.addEventListener('click', () => mark.focus());
      mark.addEventListener('keydown', event => {
        const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        marks[(i + step + marks.length) % marks.length].focus();
      });
    });
  }

  /* Each picture: its controls, and a function that draws it and returns what is to be said of it. */

  function axis(data, redraw) {
    const model = choice(data.models.map(m => m.name));
    const layer = slider(data.models[0].layers.length, data.models[0].start);
    const chosen = () => data.models[model.value];
    const shown = make('output', { for: '' });
    model.addEventListener('change', () => {
      layer.max = chosen().layers.length - 1;
      layer.value = chosen().start;
      redraw();
    });
    layer.addEventListener('input', redraw);
    const controls = [labelled('Model', model), labelled('Layer', layer)];
    controls[1].append(shown);

    function paint(plot, say) {
      const now = chosen().layers[layer.value];
      shown.textContent = `${now.layer} of ${chosen().layers.at(-1).layer}`;
      layer.setAttribute('aria-valuetext', `layer ${shown.textContent}`);
      const ends = data.models.flatMap(m => m.layers.flatMap(l => l.x));
      const limit = Math.min(3, Math.ceil(Math.max(...ends.map(Math.abs))));
      const { svg, width } = canvas(plot, 'Texts by position on the axis and by human rating', 340);
      const { toX, toY } = frame(svg, width, 340, {
        x: { from: -limit, to: limit, ticks: Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit),
             label: 'position on the axis (sd)' },
        y: { from: -4, to: 4, ticks: [-4, -2, 0, 2, 4], label: 'human rating' },
      });
      const order = data.texts.map((_, i) => i).sort((a, b) => now.x[a] - now.x[b]);
      const marks = order.map(i => {
        const x = toX(Math.max(-limit, Math.min(limit, now.x[i])));
        const mark = draw(svg, 'circle', { cx: x, cy: toY(data.ratings[i]), r: 6, role: 'img',
          class: data.ratings[i] < 0 ? 'explore-negative' : 'explore-positive' });
        mark.setAttribute('aria-label', `${data.texts[i]}: rating ${number(data.ratings[i], 1)}, ` +
                                        `position ${number(now.x[i], 1)}`);
        return mark;
      });
      const summary = `${chosen().name}, layer ${shown.textContent}: positions and ratings correlate with r = ` +
                      `${number(now.r)}.`;
      rove(marks, mark => say(`${mark.getAttribute('aria-label')}.`, false));
      return summary;
    }
    return { controls, paint };
  }

  function noise(data, redraw) {
    const tint = j => [1, 0, 2][j];  // as in the figures of the chapters: what is doubtful is orange
    const features = slider(data.features.length, data.start);
    const shown = make('output');
    const draws = data.kinds[0].fits[0].length;
    let current = 0;
    features.addEventListener('input', redraw);
    const renew = button('New noise', () => { current = (current + 1) % draws; redraw(); });
    const controls = [labelled('Features of noise', features), renew];
    controls[0].append(shown);

    function paint(plot) {
      const k = Number(features.value), n = data.features[k];
      shown.textContent = n;
      features.setAttribute('aria-valuetext', `${n} features`);
      const parts = halves(plot);
      const left = canvas(parts[0], 'Correlation by number of features', 280);
      const logs = data.features.map(Math.log);
      const { toX, toY } = frame(left.svg, left.width, 280, {
        x: { from: logs[0], to: logs.at(-1), ticks: logs, names: data.features, label: 'features of pure noise' },
        y: { from: -1, to: 1, ticks: [-1, -0.5, 0, 0.5, 1], digits: 1, label: 'r of fit and target' },
      });
      data.kinds.forEach((kind, j) => curve(left.svg, logs.map(toX), [kind.low, kind.r, kind.high].map(r => r.map(toY)), tint(j)));
      const level = toY(data.reference);
      draw(left.svg, 'line', { x1: toX(logs[0]), x2: toX(logs.at(-1)), y1: level, y2: level, class: 'explore-now' });
      draw(left.svg, 'text', { x: toX(logs[0]) + 4, y: level - 5, class: 'explore-strong' }, `the paper: ${number(data.reference)}`);
      draw(left.svg, 'line', { x1: toX(logs[k]), x2: toX(logs[k]), y1: toY(-1), y2: toY(1), class: 'explore-now' });

      const fits = data.kinds.map(kind => kind.fits[k][current]);
      const limit = Math.ceil(Math.max(...[data.target, ...fits].flat().map(Math.abs)));
      const right = canvas(parts[1], `One draw with ${n} features: ${data.target.length} fitted values`, 280);
      const ends = { from: -limit, to: limit, ticks: [-limit, 0, limit] };
      const both = frame(right.svg, right.width, 280, {
        x: { ...ends, label: 'target: position on the axis' }, y: { ...ends, label: 'fitted to noise' }, left: 40,
      });
      draw(right.svg, 'line', { x1: both.toX(-limit), x2: both.toX(limit), y1: both.toY(-limit), y2: both.toY(limit), class: 'explore-now' });
      const found = fits.map((fit, j) => {
        const r = pearson(data.target, fit);
        draw(left.svg, 'circle', { cx: toX(logs[k]), cy: toY(r), r: 6, class: `explore-fill-${tint(j)}` });
        data.target.forEach((target, i) => draw(right.svg, j ? 'rect' : 'circle', j
          ? { x: both.toX(target) - 4, y: both.toY(fit[i]) - 4, width: 8, height: 8, class: `explore-fill-${tint(j)}` }
          : { cx: both.toX(target), cy: both.toY(fit[i]), r: 4.5, class: `explore-fill-${tint(j)}` }));
        return `${data.kinds[j].name} r ${number(r)}`;
      });
      const usual = data.kinds.map(kind => `${number(kind.r[k])} (${number(kind.low[k])} to ${number(kind.high[k])})`);
      return `${n} features of noise, draw ${current + 1} of ${draws}: ${found.join('; ')}. Medians: ${usual.join('; ')}.`;
    }
    const legend = data.kinds.map((kind, j) => [`explore-fill-${tint(j)}`, kind.name, j ? 'rect' : 'circle']);
    return { controls, paint, legend };
  }

  function shuffle(data, redraw) {
    const kind = choice(data.kinds.map(k => k.name));
    const score = (fit, at) => pearson(fit.items.map((_, i) => at.reduce((sum, p, k) => sum + p * fit.weights[k][i], 0)),
                                       fit.items.map(k => at[k]));
    let random, at, null_;  // the same shuffles for every way to fit
    const back = () => { random = generator(1); at = data.positions; null_ = data.kinds.map(() => []); };
    const more = times => () => {
      for (let i = 0; i < times; i++) {
        at = shuffled(data.positions, random);
        data.kinds.forEach((fit, j) => null_[j].push(score(fit, at)));
      }
      redraw();
    };
    back();
    kind.addEventListener('change', redraw);
    const controls = [labelled('Fit', kind), button('Shuffle', more(1)), button('10 shuffles', more(10)),
                      button('100 shuffles', more(100)), button('True order', () => { back(); redraw(); })];

    function paint(plot) {
      const parts = halves(plot), j = Number(kind.value), values = null_[j];
      const [r, now] = [data.positions, at].map(order => score(data.kinds[j], order));
      const left = canvas(parts[0], 'Which position each emotion has', 280), rows = data.names.length;
      const toY = scale(0, rows - 1, 250, 30);
      draw(left.svg, 'text', { x: 96, y: 12, 'text-anchor': 'end' }, 'emotion');
      draw(left.svg, 'text', { x: left.width - 52, y: 12 }, 'position');
      data.names.forEach((name, k) => {
        const place = data.positions.indexOf(at[k]), sign = data.positions[k] < 0 ? 'negative' : 'positive';
        draw(left.svg, 'text', { x: 96, y: toY(k) + 4, 'text-anchor': 'end' }, name);
        draw(left.svg, 'line', { x1: 102, x2: left.width - 58, y1: toY(k), y2: toY(place), class: `explore-line explore-stroke-${sign}` });
        draw(left.svg, 'text', { x: left.width - 52, y: toY(place) + 4 }, number(at[k]));
      });

      const bins = new Array(40).fill(0);
      values.forEach(value => bins[Math.min(39, Math.max(0, Math.floor((value + 1) * 20)))]++);
      const most = Math.max(5, ...bins);
      const right = canvas(parts[1], 'Correlations of all shuffles so far', 280);
      const { toX, toY: up } = frame(right.svg, right.width, 280, {
        x: { from: -1, to: 1, ticks: [-1, -0.5, 0, 0.5, 1], digits: 1, label: 'r of fit and positions' },
        y: { from: 0, to: 1.2 * most, ticks: [0, most], label: 'shuffles' },
      });
      bins.forEach((n, i) => {
        if (n) draw(right.svg, 'rect', { x: toX(i / 20 - 1) + 0.5, y: up(n), width: toX(0.05) - toX(0) - 1, height: up(0) - up(n), class: 'explore-fill-2' });
      });
      draw(right.svg, 'line', { x1: toX(r), x2: toX(r), y1: up(0), y2: up(1.2 * most), class: 'explore-line explore-stroke-1' });
      const side = r > 0 ? { x: toX(r) - 6, 'text-anchor': 'end' } : { x: toX(r) + 6 };
      draw(right.svg, 'text', { ...side, y: up(1.2 * most) + 12, class: 'explore-strong' }, `true order: ${number(r)}`);
      if (!values.length) return `The true order gives r = ${number(r)}. Shuffle the emotions to see what other orders give.`;
      const reach = values.filter(value => value > r - 1e-9).length;
      return `Shuffle ${values.length} gives r = ${number(now)}. ${reach} of ${values.length} shuffles reach the ` +
             `${number(r)} of the true order: p = (${reach} + 1) / (${values.length} + 1) = ${number((reach + 1) / (values.length + 1), 3)}.`;
    }
    return { controls, paint };
  }

  function words(data, redraw) {
    const known = new Map(data.word.map((word, i) => [word.toLowerCase(), i]));
    const alphabet = [...known.keys()].sort();
    let placed = [0, data.word.length - 1], said = 'Type a word and press Enter.';
    const field = make('input', { type: 'text', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', size: 14 });
    const form = make('form', {}, labelled('Your word', field), make('button', { class: 'explore-button' }, 'Place it'));
    form.addEventListener('submit', event => {
      event.preventDefault();
      const typed = field.value.trim().toLowerCase(), i = known.get(typed);
      if (!typed) return;
      if (i === undefined) {
        const place = Math.max(0, alphabet.findIndex(word => word > typed) - 2);
        said = `\u201c${typed}\u201d is not among the ${data.word.length} words. Near it in the alphabet: ${alphabet.slice(place, place + 4).join(', ')}.`;
      } else {
        placed = [...placed.filter(other => other !== i), i].slice(-8);
        const below = data.position.filter(x => x < data.position[i]).length;
        said = `\u201c${data.word[i]}\u201d lies at ${number(data.position[i])} sd, above ${Math.round(100 * below / data.word.length)} % of the words. ` +
               `People rate it ${number(data.rating[i], 1)} on a scale from \u22124 to 4.`;
        field.value = '';
      }
      redraw();
    });
    const clear = button('Clear', () => { placed = []; said = 'Type a word and press Enter.'; redraw(); });

    function paint(plot) {
      const limit = Math.max(1, Math.ceil(Math.max(...data.position.map(Math.abs))));
      const { svg, width } = canvas(plot, 'Words on the axis', 320);
      const { toX, toY } = frame(svg, width, 320, {
        x: { from: -limit, to: limit, ticks: Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit), label: 'position on the axis (sd of the words)' },
        y: { from: 0, to: 9, ticks: [] }, left: 20,
      });
      const bins = new Array(10 * limit).fill(0);
      data.position.forEach(x => bins[Math.min(bins.length - 1, Math.floor((x + limit) * 5))]++);
      bins.forEach((n, i) => draw(svg, 'rect', { x: toX(i / 5 - limit), width: toX(0.2) - toX(0), y: toY(3 * n / Math.max(...bins)),
        height: toY(0) - toY(3 * n / Math.max(...bins)), class: 'explore-band explore-fill-2' }));
      placed.forEach((i, row) => {
        const x = toX(data.position[i]), y = toY(8.4 - row), right = data.position[i] > 0;
        const tint = data.rating[i] < 0 ? 'negative' : 'positive';
        draw(svg, 'line', { x1: x, x2: x, y1: y, y2: toY(0), class: `explore-stroke-${tint}`, 'stroke-opacity': 0.4 });
        draw(svg, 'circle', { cx: x, cy: y, r: 5, class: `explore-${tint}` });
        draw(svg, 'text', { x: x + (right ? -9 : 9), y: y + 4, 'text-anchor': right ? 'end' : 'start', class: 'explore-strong' }, data.word[i]);
      });
      return said;
    }
    const legend = [['explore-positive', 'people rate it good', 'circle'], ['explore-negative', 'people rate it bad', 'circle'],
                    ['explore-fill-2', `all ${data.word.length} words`, 'rect']];
    return { controls: [form, clear], paint, legend };
  }

  function choice_(data, redraw) {
    const n = data.named.length, all = data.clip.map((_, i) => i), random = generator(1);
    const r = picked => pearson(picked.map(i => data.position[i]), picked.map(i => data.value[i]));
    const some = () => shuffled(all, random).slice(0, n);
    const draws = Array.from({ length: 2000 }, () => r(some())).sort((a, b) => a - b);
    /* Exchange a chosen clip for another while that raises r; the best of many starts. */
    const climb = picked => {
      let best = r(picked), better = true;
      while (better) {
        better = false;
        for (let k = 0; k < n; k++) for (const i of all.filter(i => !picked.includes(i))) {
          const tried = picked.with(k, i), found = r(tried);
          if (found > best + 1e-12) { [picked, best, better] = [tried, found, true]; break; }
        }
      }
      return picked;
    };
    const best = Array.from({ length: 10 }, () => climb(some())).reduce((a, b) => r(b) > r(a) ? b : a);
    let picked = [];
    const set = clips => () => { picked = [...clips]; redraw(); };
    const controls = [button('Nothing', set([])), button('Random', () => set(some())()),
                      button('The paper\u2019s', set(data.named)), button('The best', set(best))];

    function paint(plot, say) {
      const { svg, width } = canvas(plot, 'Clips by position on the axis and EEG; press one to choose it', 340);
      const limit = values => Math.ceil(Math.max(...values.map(Math.abs)) + 0.2);
      const [w, h] = [limit(data.position), limit(data.value)];
      const { toX, toY } = frame(svg, width, 340, {
        x: { from: -w, to: w, ticks: [-w, 0, w], label: 'position on the axis' },
        y: { from: -h, to: h, ticks: [-h, 0, h], label: 'EEG of the cell (sd)' },
      });
      const told = () => picked.length < 3 ? `${picked.length} of ${n} clips chosen.` : `${picked.length} of ${n} clips chosen: r = ${number(r(picked), 3)}.`;
      const order = [...all].sort((a, b) => data.position[a] - data.position[b] || data.value[a] - data.value[b]);
      const marks = order.map(i => {
        const on = picked.includes(i);
        const mark = draw(svg, 'circle', { cx: toX(data.position[i]), cy: toY(data.value[i]), r: on ? 8 : 6, role: 'img',
          class: on ? 'explore-fill-1' : 'explore-fill-2' });
        mark.setAttribute('aria-label', `clip ${data.clip[i]}, ${data.emotion[i]}, ${on ? 'chosen' : 'not chosen'}`);
        const turn = () => {
          if (on) picked = picked.filter(other => other !== i);
          else if (picked.length < n) picked = [...picked, i];
          redraw();
          plot.querySelectorAll('circle')[order.indexOf(i)].focus();
        };
        mark.addEventListener('pointerup', turn);
        mark.addEventListener('keydown', event => { if (' Enter'.includes(event.key)) { event.preventDefault(); turn(); } });
        return mark;
      });
      const context = `Of 2000 random choices the middle one gives ${number(draws[1000])}, one in twenty ${number(draws[1900])} or more; ` +
                      `all ${all.length} clips give ${number(r(all))}; the best choice found ${number(r(best), 3)}.`;
      rove(marks, mark => say(`${mark.getAttribute('aria-label')}. ${told()} ${context}`));
      return `${told()} ${context}`;
    }
    const legend = [['explore-fill-1', 'chosen', 'circle'], ['explore-fill-2', 'not chosen', 'circle']];
    return { controls, paint, legend };
  }

  function people(data, redraw) {
    const tint = j => [0, 2][j];  // as in the figures of the chapter
    const many = slider(data.people.length, data.start), shown = make('output');
    let current = 0;
    many.addEventListener('input', redraw);
    const others = button('Other people', () => { current++; redraw(); });
    const controls = [labelled('People in training', many), others];
    controls[0].append(shown);
    const chance = 1 / data.emotions.length;

    function paint(plot) {
      const k = Number(many.value), n = data.people[k], draws = data.kinds[0].draws[k].length, now = current % draws;
      const count = `${n} ${n === 1 ? 'person' : 'people'}`;
      shown.textContent = n;
      many.setAttribute('aria-valuetext', count);
      others.disabled = draws === 1;
      const parts = halves(plot);
      const left = canvas(parts[0], 'Balanced accuracy by people in training', 280);
      const logs = data.people.map(Math.log), most = Math.ceil(10 * Math.max(...data.kinds.flatMap(kind => kind.max))) / 10;
      const { toX, toY } = frame(left.svg, left.width, 280, {
        x: { from: logs[0], to: logs.at(-1), ticks: logs, names: data.people, label: 'people in training' },
        y: { from: 0, to: most, ticks: Array.from({ length: 10 * most + 1.5 }, (_, i) => i / 10), digits: 1, label: 'balanced accuracy' },
      });
      draw(left.svg, 'line', { x1: toX(logs[0]), x2: toX(logs.at(-1)), y1: toY(chance), y2: toY(chance), class: 'explore-now' });
      draw(left.svg, 'text', { x: toX(logs.at(-1)) - 4, y: toY(chance) + 16, 'text-anchor': 'end' }, 'chance');
      data.kinds.forEach((kind, j) => curve(left.svg, logs.map(toX), [kind.min, kind.mean, kind.max].map(r => r.map(toY)), tint(j)));
      draw(left.svg, 'line', { x1: toX(logs[k]), x2: toX(logs[k]), y1: toY(0), y2: toY(most), class: 'explore-now' });

      const right = canvas(parts[1], `Recall of each emotion after training on ${count}`, 280);
      const top = Math.ceil(10 * Math.max(...data.kinds.flatMap(kind => kind.draws.flat(2)))) / 10;
      const rows = frame(right.svg, right.width, 280, {
        x: { from: 0, to: top, ticks: Array.from({ length: 10 * top + 1.5 }, (_, i) => i / 10), digits: 1, label: 'share of right answers' },
        y: { from: 1 - data.emotions.length, to: 0, ticks: [] }, left: 96,
      });
      draw(right.svg, 'line', { x1: rows.toX(chance), x2: rows.toX(chance), y1: 12, y2: 238, class: 'explore-now' });
      const at = data.kinds.map(kind => kind.draws[k][now]);
      data.emotions.forEach((name, i) => {
        const y = rows.toY(-0.94 * i - 0.24);
        draw(right.svg, 'text', { x: 90, y: y + 4, 'text-anchor': 'end' }, name);
        draw(right.svg, 'line', { x1: rows.toX(at[0][i]), x2: rows.toX(at[1][i]), y1: y, y2: y, class: 'explore-grid' });
        at.forEach((values, j) => draw(right.svg, j ? 'rect' : 'circle', j
          ? { x: rows.toX(values[i]) - 4.5, y: y - 4.5, width: 9, height: 9, class: `explore-fill-${tint(j)}` }
          : { cx: rows.toX(values[i]), cy: y, r: 5, class: `explore-fill-${tint(j)}` }));
      });
      const found = data.kinds.map((kind, j) => {
        draw(left.svg, 'circle', { cx: toX(logs[k]), cy: toY(mean(at[j])), r: 6, class: `explore-fill-${tint(j)}` });
        return `${kind.name} ${number(mean(at[j]), 3)}`;
      });
      const gain = data.kinds.map(kind => `${kind.name} ${number(kind.mean[0], 3)} to ${number(kind.mean.at(-1), 3)}`);
      return `${count} in training, draw ${now + 1} of ${draws}: ${found.join('; ')}; chance ${number(chance, 3)}. ` +
             `From ${data.people[0]} to ${data.people.at(-1)} people: ${gain.join('; ')}.`;
    }
    const legend = data.kinds.map((kind, j) => [`explore-fill-${tint(j)}`, kind.name, j ? 'rect' : 'circle']);
    return { controls, paint, legend };
  }

  const PICTURES = { axis, noise, shuffle, words, choice: choice_, people };

  function start(figure) {
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const live = make('div', { class: 'explore-live' });
    const plot = make('div', { class: 'explore-plot' });
    const result = make('p', { class: 'explore-result', 'aria-live': 'polite' });
    const say = text => { result.textContent = text; };
    const redraw = () => { plot.replaceChildren(); say(picture.paint(plot, say)); };
    const picture = PICTURES[figure.dataset.explore](data, redraw);
    const back = make('button', { type: 'button', class: 'explore-button', 'aria-pressed': 'false' }, 'Show as a table');
    back.addEventListener('click', () => {
      const table = figure.classList.toggle('explore-as-table');
      back.setAttribute('aria-pressed', String(table));
      back.textContent = table ? 'Show as a picture' : 'Show as a table';
      if (!table) redraw();
    });
    live.append(make('div', { class: 'explore-controls' }, ...picture.controls));
    if (picture.legend) {
      const legend = make('p', { class: 'explore-legend' });
      for (const [colour, text, shape] of picture.legend) {
        const entry = make('span');
        const key = draw(entry, 'svg', { width: 14, height: 14, 'aria-hidden': 'true' });
        draw(key, shape, { cx: 7, cy: 7, r: 5, x: 2, y: 2, width: 10, height: 10, class: colour });
        entry.append(` ${text}`);
        legend.append(entry);
      }
      live.append(legend);
    }
    live.append(plot, result);
    figure.querySelector('.explore-static').before(live, back);
    figure.classList.add('explore-on');
    let width = 0;
    const fit = () => {
      if (plot.clientWidth && plot.clientWidth !== width) { width = plot.clientWidth; redraw(); }
    };
    fit();
    new ResizeObserver(fit).observe(plot);
  }

  document.addEventListener('DOMContentLoaded', () =>
    document.querySelectorAll('figure.explore[data-explore]').forEach(start));
})();
