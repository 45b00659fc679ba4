// Of what is visible: controls without a name, text with less than 4.5 : 1 of contrast (WCAG 2.2, 1.4.3), and
// fields whose edge has less than 3 : 1 (1.4.11).
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
  const contrast = (fore, back) => {
    const [a, b] = [light(fore), light(back)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  // The colour that is seen: what is half transparent mixes with what is behind.
  const seen = (one) => {
    let alpha = 1;
    for (let at = one; at; at = at.parentElement) alpha *= Number(getComputedStyle(at).opacity);
    return colour(getComputedStyle(one).color).slice(0, 3).map((v, n) => alpha * v + (1 - alpha) * behind(one)[n]);
  };
  const ofText = (one) => contrast(seen(one), behind(one));
  const ofEdge = (one) => contrast(colour(getComputedStyle(one).borderTopColor), behind(one.parentElement));
  const text = [...document.querySelectorAll("body *")].filter((one) => visible(one) && !one.disabled
    && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && !one.closest(".unseen, .skip, :disabled"));
  return {
    unnamed: [...document.querySelectorAll("button, a, input, select, [role=option], [role=listbox]")].filter((one) => visible(one) && !named(one)).map((one) => one.outerHTML.slice(0, 80)),
    faint: text.filter((one) => ofText(one) < 4.5).map((one) => `${one.outerHTML.slice(0, 80)} ${ofText(one).toFixed(1)}`),
    edgeless: [...document.querySelectorAll("select, input[type=text], input[type=number]")]
      .filter((one) => visible(one) && ofEdge(one) < 3).map((one) => `${one.outerHTML.slice(0, 80)} ${ofEdge(one).toFixed(1)}`),
  };
}
