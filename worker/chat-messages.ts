import { refusedContentParts } from './chat-parameters.ts';
import { isJsonArray, isJsonObject, type JsonValue } from './json.ts';
import { addArguments, addMessage, addName, addText, type PromptWeight } from './prompt-weight.ts';
import type { RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, unknownMember, wholeNumber } from './request-refusal.ts';

const roles: ReadonlyMap<string, readonly string[]> = new Map([
  ['system', ['content', 'name']],
  ['user', ['content', 'name']],
  ['assistant', ['content', 'name', 'reasoning_content', 'tool_calls', 'partial']],
  ['tool', ['content', 'name', 'tool_call_id']],
]);

/** Weighs the conversation; the first thing in it that has no bound, or is not a conversation. */
export function messagesFault(
  messages: JsonValue | undefined,
  limits: RequestLimits,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (!isJsonArray(messages) || messages.length === 0)
    return invalid('messages', 'A list of at least one message.');
  if (messages.length > limits.maxMessages)
    return invalid(
      'messages',
      `${messages.length} messages; at most ${limits.maxMessages}. Merge or drop old ones.`,
    );
  for (const [index, message] of messages.entries()) {
    const fault = messageFault(message, `messages[${index}]`, weight);
    if (fault) return fault;
  }
  return undefined;
}

function messageFault(message: JsonValue, path: string, weight: PromptWeight): RequestRefusal | undefined {
  if (!isJsonObject(message)) return invalid(path, 'An object with role and content.');
  const role = message.get('role');
  const members = typeof role === 'string' ? roles.get(role) : undefined;
  if (!members)
    return invalid(
      `${path}.role`,
      role === 'developer'
        ? 'Qwen has no developer role. Send it as system.'
        : 'One of system, user, assistant, tool.',
    );
  addMessage(weight);
  for (const [name, value] of message) {
    // Clients echo an answer as they got it, with `refusal: null` and the like.
    if (name === 'role' || value === null) continue;
    const param = `${path}.${name.slice(0, 128)}`;
    if (!members.includes(name))
      return {
        status: 400,
        code: 'unsupported_content',
        param,
        message: `A ${role} message has no such member, or none with a known bound. Leave it out.`,
      };
    const fault = memberFault(name, value, param, weight);
    if (fault) return fault;
  }
  const content = message.get('content');
  const silent = content === undefined || content === null;
  if (silent && !(role === 'assistant' && isJsonArray(message.get('tool_calls'))))
    return invalid(`${path}.content`, 'A text or a list of text parts.');
  return undefined;
}

function memberFault(
  name: string,
  value: JsonValue,
  param: string,
  weight: PromptWeight,
): RequestRefusal | undefined {
  switch (name) {
    case 'content':
      return contentFault(value, param, weight);
    case 'tool_calls':
      return toolCallsFault(value, param, weight);
    case 'partial':
      return typeof value === 'boolean' ? undefined : invalid(param, 'true or false.');
    case 'reasoning_content':
      if (typeof value !== 'string') return invalid(param, 'A text.');
      addText(weight, [value]);
      return undefined;
    default:
      if (typeof value !== 'string') return invalid(param, 'A text.');
      addName(weight, value);
      return undefined;
  }
}

function contentFault(content: JsonValue, path: string, weight: PromptWeight): RequestRefusal | undefined {
  if (typeof content === 'string') {
    addText(weight, [content]);
    return undefined;
  }
  if (!isJsonArray(content) || content.length === 0) return invalid(path, 'A text or a list of text parts.');
  const texts: string[] = [];
  for (const [index, part] of content.entries()) {
    const param = `${path}[${index}]`;
    if (!isJsonObject(part)) return invalid(param, 'An object with type and text.');
    const type = part.get('type');
    if (type !== 'text') {
      const reason = typeof type === 'string' ? refusedContentParts.get(type) : undefined;
      return {
        status: 400,
        code: 'unsupported_content',
        param: `${param}.type`,
        message: reason ?? 'The only content parts here are {"type": "text", "text": "..."}.',
      };
    }
    const text = part.get('text');
    if (typeof text !== 'string') return invalid(`${param}.text`, 'A text.');
    texts.push(text);
    for (const [name, value] of part) {
      if (name === 'type' || name === 'text') continue;
      // An explicit context cache: its rates are in the ceiling.
      if (name === 'cache_control' && isEphemeral(value)) continue;
      return {
        status: 400,
        code: 'unsupported_content',
        param: `${param}.${name.slice(0, 128)}`,
        message: 'Text parts have type, text and cache_control {"type": "ephemeral"}. Leave it out.',
      };
    }
  }
  addText(weight, texts);
  return undefined;
}

const isEphemeral = (value: JsonValue): boolean =>
  isJsonObject(value) && value.size === 1 && value.get('type') === 'ephemeral';

function toolCallsFault(calls: JsonValue, path: string, weight: PromptWeight): RequestRefusal | undefined {
  if (!isJsonArray(calls)) return invalid(path, 'A list of calls.');
  for (const [index, call] of calls.entries()) {
    const param = `${path}[${index}]`;
    const made = isJsonObject(call) ? call.get('function') : undefined;
    if (!isJsonObject(call) || !isJsonObject(made))
      return invalid(param, 'An object with id, type and function.');
    const stranger = unknownMember(call, ['id', 'type', 'index', 'function'], param);
    if (stranger) return stranger;
    if (call.get('type') !== 'function') return invalid(`${param}.type`, 'The only type here is "function".');
    const position = call.get('index');
    if (position !== undefined && wholeNumber(position, 0, 4_096) === undefined)
      return invalid(`${param}.index`, 'A whole number.');
    const id = call.get('id');
    if (typeof id !== 'string') return invalid(`${param}.id`, 'A text.');
    const odd = unknownMember(made, ['name', 'arguments'], `${param}.function`);
    if (odd) return odd;
    const name = made.get('name');
    const args = made.get('arguments');
    if (typeof name !== 'string') return invalid(`${param}.function.name`, 'A text.');
    if (typeof args !== 'string') return invalid(`${param}.function.arguments`, 'A text that holds JSON.');
    addName(weight, id);
    addName(weight, name);
    addArguments(weight, args);
  }
  return undefined;
}
