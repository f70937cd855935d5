// Arrays as an .npz file: a zip archive, nothing packed, of .npy files.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function npy(kind, shape, numbers) {
  const about = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = `${about.padEnd(128 - 10 - 1)}\n`;
  const bytes = new Uint8Array(128 + numbers.byteLength);
  bytes.set([0x93, ..."NUMPY".split("").map((c) => c.charCodeAt(0)), 1, 0, 118, 0]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(numbers.buffer), 128);
  return bytes;
}

// What stands, in this order, in both headers of a file: version, flags, method, time, date, …
function entry(name, bytes) {
  const fields = new DataView(new ArrayBuffer(26));
  fields.setUint16(0, 20, true);
  fields.setUint16(8, 0x21, true); // 1980-01-01
  fields.setUint32(10, crc32(bytes), true);
  fields.setUint32(14, bytes.length, true);
  fields.setUint32(18, bytes.length, true);
  fields.setUint16(22, name.length, true);
  return new Uint8Array(fields.buffer);
}

function little(...numbers) {
  return Uint8Array.from(numbers.flatMap((n) => [n, n >>> 8, n >>> 16, n >>> 24]));
}

// arrays: { name: [kind, shape, numbers] }, kind as NumPy writes it, such as "<f8".
export function npz(arrays) {
  const [parts, directory] = [[], []];
  let place = 0;
  for (const [key, array] of Object.entries(arrays)) {
    const [name, bytes] = [new TextEncoder().encode(`${key}.npy`), npy(...array)];
    const about = entry(name, bytes);
    parts.push(little(0x04034b50), about, name, bytes);
    directory.push(little(0x02014b50), Uint8Array.of(20, 0), about);
    directory.push(new Uint8Array(10), little(place), name);
    place += 30 + name.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(arrays).length;
  const end = [little(0x06054b50, 0), Uint8Array.of(count, 0, count, 0), little(size, place)];
  return new Blob([...parts, ...directory, ...end, new Uint8Array(2)]);
}
