// SPDX-License-Identifier: MIT
"use strict";
// Unpacks the block that pack.py made: a header and tables of typed columns.
globalThis.earlid ??= {};
{
  const KINDS = {
    u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array, f8: Float64Array,
  };

  // Rows sorted by column t; rows may be added, and replaced by those of the same board, boot and seq.
  class Table {
    constructor(columns, rows) {
      this.names = Object.keys(columns);
      this.rows = rows;
      for (const name of this.names) this[name] = columns[name];
    }

    lowerBound(t) {
      return earlid.lowerBound(this.t, this.rows, t);
    }

    find(board, boot, seq) {
      for (let i = this.rows - 1; i >= 0; i -= 1) {
        if (this.seq[i] === seq && this.boot[i] === boot && this.board[i] === board) return i;
      }
      return -1;
    }

    upsert(row) {
      const value = (name) => row[this.names.indexOf(name)];
      let at = this.find(value("board"), value("boot"), value("seq"));
      if (at >= 0 && this.t[at] !== value("t")) {
        this.remove(at);
        at = -1;
      }
      if (at < 0) at = this.insert(this.lowerBound(value("t") + 0.5));
      this.names.forEach((name, column) => {
        this[name][at] = row[column];
      });
    }

    insert(at) {
      if (this.rows === this.t.length) {
        for (const name of this.names) {
          const larger = new this[name].constructor(2 * this.rows + 64);
          larger.set(this[name]);
          this[name] = larger;
        }
      }
      for (const name of this.names) this[name].copyWithin(at + 1, at, this.rows);
      this.rows += 1;
      return at;
    }

    remove(at) {
      for (const name of this.names) this[name].copyWithin(at, at + 1, this.rows);
      this.rows -= 1;
    }
  }

  const fromBase64 = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const plain = atob(text);
    const bytes = new Uint8Array(plain.length);
    for (let i = 0; i < plain.length; i += 1) bytes[i] = plain.charCodeAt(i);
    return bytes;
  };

  const MOST_BYTES = 2 ** 28; // a million records are a third: what some bytes unpack to must not fill the memory
  const limit = () => {
    let left = MOST_BYTES;
    return new TransformStream({
      transform(chunk, controller) {
        left -= chunk.length;
        if (left < 0) throw new Error("more than a page can hold");
        controller.enqueue(chunk);
      },
    });
  };

  const unpack = async (bytes) => {
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).pipeThrough(limit());
    const buffer = await new Response(inflated).arrayBuffer();
    const size = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
    const tables = {};
    for (const [name, layout] of Object.entries(header.tables)) {
      const columns = {};
      for (const [column, kind, at] of layout.columns) columns[column] = new KINDS[kind](buffer, 4 + size + at, layout.rows);
      tables[name] = new Table(columns, layout.rows);
    }
    return { header, tables };
  };

  earlid.pack = { unpack, fromBase64 };
}
