// Writes a tiny model of Qwen3's architecture as a GGUF file: random weights, a byte-level vocabulary with a few merges. What it
// says is noise; how it is tokenised, run and counted is the real thing.
//
//   node test/real-engine/write-model.ts <file>
import { writeFileSync } from 'node:fs';

const layers = 2;
const width = 64;
const heads = 4;
const keyHeads = 2;
const headWidth = 16;
const inner = 128;

/** GGUF's numbers for value types. */
const types = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
/** GGUF version 3 puts each tensor's data at a multiple of this. */
const alignment = 32;

/** Bytes as GPT-2's vocabularies spell them: printable ones as themselves, the others from U+0100 on. */
function byteSpellings(): string[] {
  const spellings: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte += 1) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    spellings.push(String.fromCharCode(printable ? byte : next));
    if (!printable) next += 1;
  }
  return spellings;
}

const merges = ['t h', 'th e', 'i n', 'a n', 'an d', 'Ġ the', 'Ġ a'];
const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<think>', '</think>'];
const bytesAndMerges = [...byteSpellings(), ...merges.map((merge) => merge.replace(' ', ''))];
const tokens = [...bytesAndMerges, ...specials];
const idOf = (token: string): number => tokens.indexOf(token);

/** Mulberry32: the same file each time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Tensor = { readonly name: string; readonly shape: readonly number[]; readonly fill: 'random' | 'ones' };

const tensors: readonly Tensor[] = [
  { name: 'token_embd.weight', shape: [width, tokens.length], fill: 'random' },
  { name: 'output_norm.weight', shape: [width], fill: 'ones' },
  { name: 'output.weight', shape: [width, tokens.length], fill: 'random' },
  ...Array.from({ length: layers }, (_, layer): Tensor[] => {
    const block = (name: string, shape: readonly number[], fill: Tensor['fill'] = 'random'): Tensor => ({
      name: `blk.${layer}.${name}.weight`,
      shape,
      fill,
    });
    return [
      block('attn_norm', [width], 'ones'),
      block('attn_q', [width, heads * headWidth]),
      block('attn_k', [width, keyHeads * headWidth]),
      block('attn_v', [width, keyHeads * headWidth]),
      block('attn_output', [heads * headWidth, width]),
      block('attn_q_norm', [headWidth], 'ones'),
      block('attn_k_norm', [headWidth], 'ones'),
      block('ffn_norm', [width], 'ones'),
      block('ffn_gate', [width, inner]),
      block('ffn_up', [width, inner]),
      block('ffn_down', [inner, width]),
    ];
  }).flat(),
];

/** Little-endian bytes, one after the other. */
function writer() {
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (bytes: Uint8Array): void => {
    parts.push(bytes);
    length += bytes.length;
  };
  const number = (size: number, set: (view: DataView) => void): void => {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    put(bytes);
  };
  const uint32 = (value: number): void => number(4, (view) => view.setUint32(0, value, true));
  const uint64 = (value: number): void => number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  const text = (value: string): void => {
    const bytes = new TextEncoder().encode(value);
    uint64(bytes.length);
    put(bytes);
  };
  return {
    put,
    uint32,
    int32: (value: number) => number(4, (view) => view.setInt32(0, value, true)),
    float32: (value: number) => number(4, (view) => view.setFloat32(0, value, true)),
    uint64,
    text,
    align: () => put(new Uint8Array((alignment - (length % alignment)) % alignment)),
    bytes: () => Buffer.concat(parts),
  };
}

function modelFile(): Uint8Array {
  const random = randomFrom(1);
  const out = writer();
  const facts: (() => void)[] = [];
  const fact = (key: string, type: number, value: () => void): void => {
    facts.push(() => {
      out.text(key);
      out.uint32(type);
      value();
    });
  };
  const text = (key: string, value: string): void => fact(key, types.string, () => out.text(value));
  const uint32 = (key: string, value: number): void => fact(key, types.uint32, () => out.uint32(value));
  const float32 = (key: string, value: number): void => fact(key, types.float32, () => out.float32(value));
  const list = <T>(key: string, type: number, values: readonly T[], each: (value: T) => void): void =>
    fact(key, types.array, () => {
      out.uint32(type);
      out.uint64(values.length);
      values.forEach(each);
    });

  text('general.architecture', 'qwen3');
  text('general.name', 'noise of Qwen3 architecture');
  uint32('qwen3.block_count', layers);
  uint32('qwen3.context_length', 4_096);
  uint32('qwen3.embedding_length', width);
  uint32('qwen3.feed_forward_length', inner);
  uint32('qwen3.attention.head_count', heads);
  uint32('qwen3.attention.head_count_kv', keyHeads);
  uint32('qwen3.attention.key_length', headWidth);
  uint32('qwen3.attention.value_length', headWidth);
  float32('qwen3.attention.layer_norm_rms_epsilon', 1e-6);
  float32('qwen3.rope.freq_base', 1_000_000);
  text('tokenizer.ggml.model', 'gpt2');
  text('tokenizer.ggml.pre', 'qwen2');
  list('tokenizer.ggml.tokens', types.string, tokens, out.text);
  // 1 is an ordinary token, 3 a control token.
  list(
    'tokenizer.ggml.token_type',
    types.int32,
    tokens.map((token) => (specials.includes(token) ? 3 : 1)),
    out.int32,
  );
  list('tokenizer.ggml.merges', types.string, merges, out.text);
  uint32('tokenizer.ggml.eos_token_id', idOf('<|im_end|>'));
  uint32('tokenizer.ggml.padding_token_id', idOf('<|endoftext|>'));
  fact('tokenizer.ggml.add_bos_token', types.bool, () => out.put(Uint8Array.of(0)));

  out.put(new TextEncoder().encode('GGUF'));
  out.uint32(3);
  out.uint64(tensors.length);
  out.uint64(facts.length);
  for (const write of facts) write();

  const count = ({ shape }: Tensor): number => shape.reduce((product, size) => product * size, 1);
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.uint32(tensor.shape.length);
    for (const size of tensor.shape) out.uint64(size);
    out.uint32(0); // 32-bit floats
    out.uint64(offset);
    offset += Math.ceil((4 * count(tensor)) / alignment) * alignment;
  }
  out.align();
  for (const tensor of tensors) {
    const spread = 1 / Math.sqrt(tensor.shape[0] ?? 1);
    const values = Float32Array.from({ length: count(tensor) }, () =>
      tensor.fill === 'ones' ? 1 : (2 * random() - 1) * Math.sqrt(3) * spread,
    );
    out.put(new Uint8Array(values.buffer));
    out.align();
  }
  return out.bytes();
}

/** Writes the model; the same bytes each time. */
export const writeModel = (file: string): void => writeFileSync(file, modelFile());

if (import.meta.main) {
  const file = process.argv[2];
  if (file === undefined) throw new Error('usage: node test/real-engine/write-model.ts <file>');
  writeModel(file);
}
