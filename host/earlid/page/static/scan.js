// SPDX-License-Identifier: MIT
// QR codes from the camera or a picture, with the browser's own reader, or with one that a page brings (`earlidReadQr`).
{
  const { $ } = earlid;
  const EVERY_MS = 200;
  const BORDER = 16; // pixels: a picture may have been cut at the code's edge
  let stream = null;

  const makeReader = async () => {
    if (globalThis.BarcodeDetector && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      return async (image) => (await detector.detect(image))[0]?.rawValue ?? "";
    }
    if (!globalThis.earlidReadQr) return null;
    return async (image) => {
      const width = image.videoWidth ?? image.width;
      const height = image.videoHeight ?? image.height;
      const canvas = new OffscreenCanvas(width + 2 * BORDER, height + 2 * BORDER);
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, BORDER, BORDER, width, height);
      return earlidReadQr(context.getImageData(0, 0, canvas.width, canvas.height));
    };
  };

  const stop = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    $("camera").srcObject = null;
    $("camera").hidden = true;
    $("scan").textContent = "Scan…";
  };

  const say = (text) => {
    $("scan-say").textContent = text;
  };

  const watch = async (read, take) => {
    say("Hold the QR code before the camera.");
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      say("The browser gives no camera here: type the code, or take it from a picture.");
      return;
    }
    const mine = stream;
    $("camera").srcObject = stream;
    $("camera").hidden = false;
    $("scan").textContent = "Stop";
    await $("camera").play();
    while (stream === mine) {
      const found = await read($("camera")).catch(() => "");
      if (found && stream === mine) {
        stop();
        take(found);
      }
      await new Promise((done) => setTimeout(done, EVERY_MS));
    }
  };

  // take: is given the text of each code that was read.
  const start = async (take) => {
    const read = await makeReader().catch(() => null);
    if (!read) {
      say("This browser reads no QR codes: type the code.");
      return;
    }
    const taken = (text) => {
      say(`Read: ${text.slice(0, 60)}`);
      take(text);
    };
    $("picture").hidden = false;
    $("scan").hidden = !navigator.mediaDevices?.getUserMedia;
    $("scan").addEventListener("click", () => {
      if (!stream) return watch(read, taken);
      stop();
      say("");
    });
    $("picture").addEventListener("click", () => $("picture-file").click());
    $("picture-file").addEventListener("change", async ({ target }) => {
      const found = await createImageBitmap(target.files[0]).then(read).catch(() => "");
      target.value = "";
      if (found) taken(found);
      else say("There is no QR code in this picture.");
    });
  };

  earlid.scan = { start };
}
