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
    const features = slider(data.features.length, 0);
    const shown = make('output');
    features.addEventListener('input', redraw);
    const controls = [labelled('Features of noise', features)];
    controls[0].append(shown);

    function paint(plot, say) {
      const k = Number(features.value), n = data.features[k];
      shown.textContent = n;
      features.setAttribute('aria-valuetext', `${n} features`);
      const wide = plot.clientWidth > 640;
      plot.classList.toggle('explore-two', wide);
      const halves = [make('div'), make('div')];
      plot.append(...halves);
      const left = canvas(halves[0], 'Correlation by number of features', 280);
      const logs = data.features.map(Math.log);
      const { toX, toY } = frame(left.svg, left.width, 280, {
        x: { from: logs[0], to: logs.at(-1), ticks: logs, names: data.features, label: 'features of pure noise' },
        y: { from: -1, to: 1, ticks: [-1, -0.5, 0, 0.5, 1], digits: 1, label: 'r of fit and target' },
      });
      data.kinds.forEach((kind, j) => {
        const up = logs.map((x, i) => `${toX(x)},${toY(kind.high[i])}`);
        const down = logs.map((x, i) => `${toX(x)},${toY(kind.low[i])}`).reverse();
        draw(left.svg, 'polygon', { points: [...up, ...down].join(' '), class: `explore-band explore-fill-${tint(j)}` });
        const middle = logs.map((x, i) => `${toX(x)},${toY(kind.r[i])}`);
        draw(left.svg, 'polyline', { points: middle.join(' '), class: `explore-line explore-stroke-${tint(j)}` });
        draw(left.svg, 'circle', { cx: toX(logs[k]), cy: toY(kind.r[k]), r: 6, class: `explore-fill-${tint(j)}` });
      });
      draw(left.svg, 'line', { x1: toX(logs[k]), x2: toX(logs[k]), y1: toY(-1), y2: toY(1), class: 'explore-now' });

      const points = data.kinds.flatMap(kind => kind.points[k]);
      const reach = index => {
        const values = data.kinds.flatMap(kind => kind.points.flat()).map(p => p[index]);
        const [low, high] = [Math.min(...values), Math.max(...values)];
        return { from: low - 0.05 * (high - low), to: high + 0.05 * (high - low) };
      };
      const right = canvas(halves[1], `One draw with ${n} features: ${points.length} fitted values`, 280);
      const both = frame(right.svg, right.width, 280, {
        x: { ...reach(0), ticks: [0], label: 'target: position on the axis' },
        y: { ...reach(1), ticks: [0], label: 'fitted to noise' }, left: 34,
      });
      data.kinds.forEach((kind, j) => kind.points[k].forEach(([target, fit]) =>
        draw(right.svg, j ? 'rect' : 'circle', j
          ? { x: both.toX(target) - 4, y: both.toY(fit) - 4, width: 8, height: 8, class: `explore-fill-${tint(j)}` }
          : { cx: both.toX(target), cy: both.toY(fit), r: 4.5, class: `explore-fill-${tint(j)}` })));
      return `${n} features of noise. ` + data.kinds.map(kind =>
        `${kind.name}: median r ${number(kind.r[k])} (${number(kind.low[k])} to ${number(kind.high[k])})`).join('; ') + '.';
    }
    const legend = data.kinds.map((kind, j) => [`explore-fill-${tint(j)}`, kind.name, j ? 'rect' : 'circle']);
    return { controls, paint, legend };
  }

  const PICTURES = { axis, noise };

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
