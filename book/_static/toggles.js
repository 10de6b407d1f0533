/* The theme's scripts listen to the first button of each sidebar, which stands in a header that the book does not
   show. The visible buttons pass their clicks on to it. */
document.addEventListener('DOMContentLoaded', () => {
  for (const kind of ['primary', 'secondary']) {
    const [first, ...others] = document.querySelectorAll(`.${kind}-toggle`);
    for (const button of others)
      button.addEventListener('click', event => { event.preventDefault(); first.click(); });
  }
});
