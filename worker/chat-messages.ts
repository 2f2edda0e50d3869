import type { ModelPrice } from '../protocol/price-table.ts';
import { refusedContentParts } from './chat-parameters.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { addArguments, addImage, addMessage, addName, addText, type PromptWeight } from './prompt-weight.ts';
import type { RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, unknownMember, wholeNumber } from './request-refusal.ts';

/** Who may speak, and what else a message of theirs may have. */
export const roles: ReadonlyMap<string, readonly string[]> = new Map([
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
  price: Pick<ModelPrice, 'maxImageTokens'>,
): RequestRefusal | undefined {
  if (!isJsonArray(messages) || messages.length === 0)
    return invalid('messages', 'A list of at least one message.');
  if (messages.length > limits.maxMessages)
    return invalid(
      'messages',
      `${messages.length} messages; at most ${limits.maxMessages}. Merge or drop old ones.`,
    );
  for (const [index, message] of messages.entries()) {
    const fault = messageFault(message, `messages[${index}]`, weight, price.maxImageTokens);
    if (fault) return fault;
  }
  return undefined;
}

function messageFault(
  message: JsonValue,
  path: string,
  weight: PromptWeight,
  maxImageTokens: number | undefined,
): RequestRefusal | undefined {
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
    // Only people show pictures.
    const fault = memberFault(name, value, param, weight, role === 'user' ? maxImageTokens : undefined);
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
  maxImageTokens: number | undefined,
): RequestRefusal | undefined {
  switch (name) {
    case 'content':
      return contentFault(value, param, weight, maxImageTokens);
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

function contentFault(
  content: JsonValue,
  path: string,
  weight: PromptWeight,
  maxImageTokens: number | undefined,
): RequestRefusal | undefined {
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
    if (type === 'image_url') {
      const fault = imageFault(part, param, weight, maxImageTokens);
      if (fault) return fault;
      continue;
    }
    if (type !== 'text') {
      const reason = typeof type === 'string' ? refusedContentParts.get(type) : undefined;
      return {
        status: 400,
        code: 'unsupported_content',
        param: `${param}.type`,
        message:
          reason ??
          'The only content parts here are {"type": "text", "text": "..."} and {"type": "image_url", ...}.',
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
  if (texts.length > 0) addText(weight, texts);
  return undefined;
}

/** The widest area Model Studio scales a picture to: 16,384 tokens of 32 x 32 pixels. */
const maxPixels = 16_384 * 32 * 32;

/**
 * A picture, by reference or within. However large it is, the model sees it scaled to at most `maxImageTokens`: that, and not
 * the file, is the bound, so a picture need not be fetched or decoded to be priced.
 */
function imageFault(
  part: JsonObject,
  param: string,
  weight: PromptWeight,
  maxImageTokens: number | undefined,
): RequestRefusal | undefined {
  if (maxImageTokens === undefined)
    return {
      status: 400,
      code: 'unsupported_content',
      param: `${param}.type`,
      message:
        'Images go in user messages of a model whose images have a bound: GET /v1/models shows max_image_tokens.',
    };
  const image = part.get('image_url');
  if (!isJsonObject(image)) return invalid(`${param}.image_url`, 'An object with a url.');
  const stranger =
    unknownMember(part, ['type', 'image_url', 'min_pixels', 'max_pixels'], param) ??
    unknownMember(image, ['url', 'detail'], `${param}.image_url`);
  if (stranger) return stranger;
  const url = image.get('url');
  if (
    typeof url !== 'string' ||
    !/^(https:\/\/[^\s]+|data:image\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]+)$/.test(url)
  )
    return invalid(`${param}.image_url.url`, 'An https address, or data:image/...;base64,...');
  const detail = image.get('detail') ?? 'auto';
  if (detail !== 'auto' && detail !== 'low' && detail !== 'high')
    return invalid(`${param}.image_url.detail`, 'auto, low or high.');
  for (const name of ['min_pixels', 'max_pixels'])
    if (part.get(name) !== undefined && wholeNumber(part.get(name), 1, maxPixels) === undefined)
      return invalid(`${param}.${name}`, `A whole number from 1 to ${maxPixels}.`);
  addImage(weight, maxImageTokens);
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
