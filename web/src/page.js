// SPDX-License-Identifier: MIT
// Page: which of its two parts is shown, and what a browser without Web Serial is told.
import { flash } from "./flash.js";
import { look } from "./look.js";
import { $ } from "./text.js";
import { tables } from "../../build/web-tables.mjs";

$("version").textContent = tables.version;

function show() {
  const part = location.hash === "#look" ? "look" : "flash";
  for (const name of ["flash", "look"]) {
    $(name).hidden = name !== part;
    if (name === part) $(`tab-${name}`).setAttribute("aria-current", "page");
    else $(`tab-${name}`).removeAttribute("aria-current");
  }
  if (part === "flash") look.disconnect();
}

addEventListener("hashchange", show);
show();

if ("serial" in navigator) {
  flash.begin();
  look.begin();
} else {
  const why = isSecureContext
    ? "This browser has no Web Serial, so a page cannot reach a board. Chrome, Edge and Opera on a computer have it; Firefox and Safari do not."
    : "Browsers give Web Serial only to pages from https:// or from localhost, and this one is from neither. Serve it on this computer: python3 -m http.server";
  $("unsupported").firstElementChild.textContent = `${why} At a terminal, earlid flash and earlid list do the same.`;
  $("unsupported").hidden = false;
  for (const button of document.querySelectorAll("main button")) button.disabled = true;
}
