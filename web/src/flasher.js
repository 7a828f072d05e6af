// SPDX-License-Identifier: MIT
// Flasher: esptool-js at a chip. What goes wrong becomes a Trouble: a sentence, and what state the chip is in.
import { md5 } from "@noble/hashes/legacy.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { ESPLoader, Transport } from "esptool-js";
import { fileSystem, isNameless, whatIsThere } from "./chip.js";
import { pause, setLines } from "./port.js";
import { tables } from "../../build/web-tables.mjs";

const { attempts, baud: [FAST_BAUD, SLOW_BAUD], chip: SUPPORTED, flashMinBytes } = tables.flasher;
const { appOffset, lookBytes, lookFurtherBytes, sectorBytes, tableBytes, tableOffset } = tables.foreign;
const BUFFER_BYTES = 65536;
const READ_TIMEOUT_MS = 5000;
const RESET_MS = 100;
const mb = (bytes) => `${bytes >> 20}MB`;

export class Trouble extends Error {
  // kind: `refused` where nothing was written, `broken` where the chip has nothing that works now.
  constructor(kind, text) {
    super(text);
    this.kind = kind;
  }
}

// Rejects as soon as the port is unplugged; esptool-js itself would wait for several time limits.
function untilUnplugged(port) {
  return new Promise((_, reject) => {
    port.addEventListener("disconnect", () => reject(new Error("unplugged")));
  });
}

export class Flasher {
  // `report(stage, done, total)`: stages `connect`, `read`, `slow`, `erase`, `write`, `verify`.
  constructor(port, report) {
    Object.assign(this, { port, report, baud: FAST_BAUD, unplugged: untilUnplugged(port) });
    this.unplugged.catch(() => {});
  }

  #soon(work) {
    return Promise.race([work, this.unplugged]);
  }

  async #connect() {
    this.transport = new Transport(this.port, false);
    this.transport.trace = () => {};
    const terminal = { clean() {}, write() {}, writeLine: (text) => this.#hear(text) };
    const serialOptions = { bufferSize: BUFFER_BYTES };
    this.loader = new ESPLoader({ transport: this.transport, baudrate: this.baud, romBaudrate: SLOW_BAUD, terminal, serialOptions });
    this.loader.WRITE_BLOCK_ATTEMPTS = 1; // a lost connection is tried again here, more slowly
    await this.loader.connect("default_reset", attempts);
  }

  #hear(text) {
    if (text.startsWith("File  md5")) this.report("verify", 0, 0);
  }

  // What the chip is and carries: {chip, mac, flash, there}. Nothing is written.
  async look() {
    this.report("connect", 0, 0);
    try {
      await this.#soon(this.#connect());
    } catch (error) {
      await this.release();
      throw connectTrouble(error);
    }
    try {
      return await this.#soon(this.#look());
    } catch (error) {
      await this.restart();
      if (error instanceof Trouble) throw error;
      throw new Trouble("refused", `The connection broke while the chip was read (${error.message}). Nothing was written. Try another cable or USB port.`);
    }
  }

  async #look() {
    const { loader } = this;
    const chip = loader.chip.CHIP_NAME;
    if (chip !== SUPPORTED) {
      throw new Trouble("refused", `This chip is an ${chip}. Earlid's circuit is for the plain ${SUPPORTED}: its pins are elsewhere. Nothing was written.`);
    }
    const mac = await loader.chip.readMac(loader);
    await loader.runStub();
    await this.#changeBaud();
    const flash = await loader.detectFlashSize();
    if (!flash) {
      throw new Trouble("refused", "The chip's flash does not answer. Nothing was written. Unplug everything wired to GPIO 6 to 11 and 12, and try again; else the module is broken.");
    }
    this.flashBytes = loader.flashSizeBytes(flash);
    if (this.flashBytes < flashMinBytes) {
      throw new Trouble("refused", `This module has ${flash} of flash, Earlid needs ${mb(flashMinBytes)}. Nothing was written. Take a module with more, as an ESP32-WROOM-32.`);
    }
    this.report("read", 0, 0);
    const start = await this.#read(loader.chip.BOOTLOADER_FLASH_OFFSET, lookBytes);
    const place = fileSystem(await this.#read(tableOffset, tableBytes), this.flashBytes);
    const root = place ? await this.#read(place.offset, 2 * sectorBytes) : new Uint8Array();
    const head = await this.#read(appOffset, lookBytes);
    const application = isNameless(head) ? await this.#read(appOffset, lookFurtherBytes) : head;
    return { chip, mac, flash, there: whatIsThere(start, application, root) };
  }

  // esptool-js goes back to the slow speed by itself where the chip does not answer at the fast one.
  async #changeBaud() {
    if (this.baud === SLOW_BAUD) return;
    await this.loader.changeBaud();
    this.baud = this.loader.baudrate;
  }

  async #read(offset, bytes) {
    const data = await this.loader.readFlash(offset, bytes);
    const digest = await this.loader.transport.read(READ_TIMEOUT_MS); // which esptool-js leaves unread
    if (bytesToHex(digest) !== bytesToHex(md5(data))) throw new Error("a damaged answer");
    return data;
  }

  // Writes an image at offset 0 and verifies it; first erases all of the flash where `erase` says so.
  async write(image, erase) {
    for (;;) {
      try {
        return await this.#soon(this.#write(image, erase));
      } catch (error) {
        const fast = this.baud !== SLOW_BAUD;
        if (error.message === "unplugged" || !this.port.readable) {
          if (!this.begun) throw unpluggedBefore();
          throw new Trouble("broken", "The board was unplugged while it was written. Its chip has no working program now, and its lid is closed. It can be written again: plug it in and start again.");
        }
        if (/MD5/.test(error.message)) {
          throw new Trouble("broken", "What was written reads back wrong. The chip has no working program now, and its lid is closed. Start again; if it repeats, the flash is worn out.");
        }
        if (!fast) {
          await this.release();
          throw new Trouble("broken", `The connection was lost while writing (${error.message}). The chip has no working program now, and its lid is closed. It can be written again: start again, with another cable or USB port if this repeats.`);
        }
        this.report("slow", 0, 0);
        this.baud = SLOW_BAUD;
        await this.release();
        try {
          await this.#soon(this.#connect().then(() => this.loader.runStub()));
        } catch {
          // the next write says what is wrong
        }
      }
    }
  }

  async #write(data, erase) {
    if (!this.loader.IS_STUB) throw new Error("the chip does not answer any more");
    this.begun = true;
    this.report(erase ? "erase" : "write", 0, 0);
    await this.loader.writeFlash({
      fileArray: [{ data, address: 0 }], flashMode: "keep", flashFreq: "keep", flashSize: "keep", eraseAll: erase, compress: true,
      reportProgress: (_, done, total) => this.report("write", done, total), calculateMD5Hash: (image) => bytesToHex(md5(image)),
    });
  }

  async release() {
    await this.transport?.disconnect().catch(() => {});
  }

  // Lets go of the port and starts the chip: what is on it runs.
  async restart() {
    if (this.port.readable) await reset(this.port);
    await this.release();
  }
}

// RTS holds the chip in reset while DTR is off.
export async function reset(port) {
  await setLines(port, { dataTerminalReady: false, requestToSend: true });
  await pause(RESET_MS);
  await setLines(port, { dataTerminalReady: false, requestToSend: false });
}

export const unpluggedBefore = () => new Trouble("refused", "The board was unplugged. Nothing was written. Plug it in and start again.");

function connectTrouble(error) {
  const text = error.message;
  if (text === "unplugged") return unpluggedBefore();
  if (/open/i.test(text) || error.name === "InvalidStateError" || error.name === "NetworkError") {
    return new Trouble("refused", "The port cannot be opened: another program or page has it open. Close that, then start again. Nothing was written.");
  }
  if (/Unexpected chip/i.test(text)) {
    return new Trouble("refused", `This chip is none that is known here. Earlid's circuit is for the plain ${SUPPORTED}. Nothing was written.`);
  }
  return new Trouble("refused", "No ESP32 answers there. Use a cable that carries data, hold the button named BOOT on the board while you press Connect, and start again. Nothing was written.");
}
