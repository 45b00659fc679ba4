// Controls without a name, and text with less than 4.5 : 1 of contrast (WCAG 2.2, 1.4.3), of what is visible.
() => {
  const visible = (one) => one.checkVisibility() && one.getClientRects().length;
  const named = (one) => (one.textContent || "").trim() || one.getAttribute("aria-label") || one.labels?.length || one.title;
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const contrast = (one) => {
    const [a, b] = [light(colour(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const text = [...document.querySelectorAll("body *")].filter((one) => visible(one) && !one.disabled
    && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && !one.closest(".unseen, .skip, kbd, :disabled"));
  return {
    unnamed: [...document.querySelectorAll("button, a, input, select, [role=option], [role=listbox]")].filter((one) => visible(one) && !named(one)).map((one) => one.outerHTML.slice(0, 80)),
    faint: text.filter((one) => contrast(one) < 4.5).map((one) => `${one.outerHTML.slice(0, 80)} ${contrast(one).toFixed(1)}`),
  };
}
