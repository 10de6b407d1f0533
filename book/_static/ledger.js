/* Filters of the ledger, and a card that is linked to unfolds. Without this script the page is the whole list. */
document.addEventListener('DOMContentLoaded', () => {
  const cards = [...document.querySelectorAll('.claim')];
  if (!cards.length) return;
  const node = (name, attributes, ...children) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  };
  const sections = new Set(cards.map(card => card.closest('section')));
  const titles = [...sections].map(section => section.querySelector('h2').firstChild.textContent.trim());
  const select = (text, options) => {
    const made = node('select', { id: `ledger-${text}` }, ...['all', ...options].map(o => node('option', { value: o }, o)));
    made.addEventListener('change', show);
    return [node('span', {}, node('label', { htmlFor: made.id }, text), made), made];
  };
  const [[claimBox, claim], [verdictBox, verdict], [dataBox, data]] = [
    select('Claim', titles), select('Verdict', ['supported', 'not supported', 'inconclusive', 'not run']),
    select('Data', ['real', 'simulated'])];
  const count = node('output', {});
  count.setAttribute('aria-live', 'polite');

  function show() {
    let shown = 0;
    for (const card of cards) {
      const title = card.closest('section').querySelector('h2').firstChild.textContent.trim();
      const rows = [...card.querySelectorAll('tbody tr')];
      for (const row of rows) {
        const [kind, marks = ''] = row.lastElementChild.textContent.trim().split(' (');
        const made = marks.includes('simulated') ? 'simulated' : kind === 'not run' ? '' : 'real';
        row.hidden = !['all', title].includes(claim.value) || !['all', kind].includes(verdict.value)
                     || !['all', made].includes(data.value);
        shown += !row.hidden;
      }
      card.hidden = rows.every(row => row.hidden);
    }
    for (const section of sections) section.hidden = [...section.querySelectorAll('.claim')].every(card => card.hidden);
    count.textContent = `${shown} ${shown === 1 ? 'row' : 'rows'}, ${cards.filter(card => !card.hidden).length} claims`;
  }
  const filters = node('div', { className: 'ledger-filters' }, claimBox, verdictBox, dataBox, count);
  filters.setAttribute('role', 'search');
  sections.values().next().value.before(filters);
  show();
  const unfold = () => {
    const card = cards.find(card => `#${card.id}` === location.hash);
    if (!card) return;
    if (card.hidden) for (const box of [claim, verdict, data]) box.value = 'all';
    show();
    card.open = true;
    card.scrollIntoView();
  };
  window.addEventListener('beforeprint', () => cards.forEach(card => { card.open = true; }));
  window.addEventListener('hashchange', unfold);
  unfold();
});
