// SPDX-License-Identifier: MIT
// The stand-alone page: a report or an export that is dropped onto it or chosen is checked; nothing of it runs or leaves.
{
  const { $ } = earlid;

  const open = (file) => {
    if (!file) return;
    $("file-name").textContent = `${file.name}, ${file.size < 1e6 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`}`;
    $("proof").hidden = false;
    earlid.proof.take(() => ({ file, digest: document.body.dataset.report }));
  };

  const drop = $("drop");
  for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", over);
    });
  }
  addEventListener("drop", (event) => open(event.dataTransfer.files[0]));
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", ({ target }) => {
    open(target.files[0]);
    target.value = "";
  });
  earlid.proof.start(["The program that checks is this page's own, not the file's. Keep this page from a source that you trust, and it judges any file."]);
  $("proof").hidden = true;
}
