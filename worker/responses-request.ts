import type { PriceTable } from '../protocol/price-table.ts';
import { ceilingCost } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from './json.ts';
import { type PricedRequest, readBodyOf, readModel } from './priced-request.ts';
import {
  addArguments,
  addInstruction,
  addJson,
  addMessage,
  addName,
  addText,
  emptyPrompt,
  type PromptWeight,
} from './prompt-weight.ts';
import { defaultRequestLimits, type RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, unknownMember } from './request-refusal.ts';
import { allowedInResponses, refusedInResponses } from './responses-parameters.ts';

/** Room for a limit that is overrun, of the answer and of the thinking each. */
const overrun = 16;

/** Reads the body of `POST /v1/responses`: parses it once, refuses what has no bound, and says what it may cost at most. */
export function readResponsesRequest(
  bytes: Uint8Array,
  table: PriceTable,
  limits: RequestLimits = defaultRequestLimits,
): Result<PricedRequest, RequestRefusal> {
  const read = readBodyOf(bytes, limits, allowedInResponses, refusedInResponses);
  if (!read.ok) return read;
  const said = read.value;
  const chosen = readModel(said, table, 'chat');
  if (!chosen.ok) return chosen;
  const { model, price } = chosen.value;

  if (price.thinking === 'none' && said.get('enable_thinking') === true)
    return refuse(
      invalid('enable_thinking', 'This model does not think. Leave it out, or choose one that does.'),
    );
  const thinking = (said.get('enable_thinking') ?? price.thinking === 'on') === true;
  // Said even where the client said nothing, so that upstream's default cannot change behind the price.
  if (price.thinking === 'none') said.delete('enable_thinking');
  else said.set('enable_thinking', thinking);

  const weight = emptyPrompt();
  const fault =
    inputFault(said.get('input'), limits, weight) ??
    textFault(said.get('instructions'), 'instructions', weight) ??
    toolsFault(said.get('tools'), limits, weight) ??
    toolChoiceFault(said.get('tool_choice'), weight) ??
    formatFault(said.get('text'), weight);
  if (fault) return refuse(fault);

  const outputLimit = price.maxOutputTokens + (thinking ? price.maxThinkingTokens : 0);
  const bound = {
    inputBound: BigInt(weight.bound),
    outputBound: BigInt(outputLimit + 2 * overrun),
    thinkingPossible: thinking,
  };
  return ok({
    endpoint: 'responses',
    model,
    price,
    stream: said.get('stream') === true,
    includeUsage: true,
    n: 1,
    outputLimit,
    ...bound,
    promptBytes: BigInt(weight.bytes),
    ceiling: ceilingCost(price, bound),
    body: said,
  });
}

function inputFault(
  input: JsonValue | undefined,
  limits: RequestLimits,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (typeof input === 'string') {
    addMessage(weight);
    addText(weight, [input]);
    return undefined;
  }
  if (!isJsonArray(input) || input.length === 0)
    return invalid('input', 'A text, or a list of at least one item.');
  if (input.length > limits.maxMessages)
    return invalid('input', `${input.length} items; at most ${limits.maxMessages}.`);
  for (const [index, item] of input.entries()) {
    const path = `input[${index}]`;
    if (!isJsonObject(item)) return invalid(path, 'An object.');
    addMessage(weight);
    const fault = itemFault(item, path, weight);
    if (fault) return fault;
  }
  return undefined;
}

const roles = ['system', 'developer', 'user', 'assistant'];

function itemFault(item: JsonObject, path: string, weight: PromptWeight): RequestRefusal | undefined {
  const type = item.get('type') ?? 'message';
  switch (type) {
    case 'message': {
      const stranger = unknownMember(item, ['type', 'id', 'status', 'role', 'content', 'phase'], path);
      if (stranger) return stranger;
      const role = item.get('role');
      if (typeof role !== 'string' || !roles.includes(role))
        return invalid(`${path}.role`, `One of ${roles.join(', ')}.`);
      return contentFault(item.get('content'), `${path}.content`, weight);
    }
    case 'function_call': {
      const stranger = unknownMember(item, ['type', 'id', 'status', 'call_id', 'name', 'arguments'], path);
      if (stranger) return stranger;
      const name = item.get('name');
      const args = item.get('arguments');
      const id = item.get('call_id');
      if (typeof name !== 'string' || typeof args !== 'string' || typeof id !== 'string')
        return invalid(path, 'A function_call has call_id, name and arguments: texts.');
      addName(weight, name);
      addName(weight, id);
      addArguments(weight, args);
      return undefined;
    }
    case 'function_call_output': {
      const stranger = unknownMember(item, ['type', 'id', 'status', 'call_id', 'output'], path);
      if (stranger) return stranger;
      const id = item.get('call_id');
      if (typeof id !== 'string') return invalid(`${path}.call_id`, 'A text.');
      addName(weight, id);
      return contentFault(item.get('output'), `${path}.output`, weight);
    }
    case 'reasoning': {
      const stranger = unknownMember(item, ['type', 'id', 'status', 'summary', 'content'], path);
      if (stranger) return stranger;
      addJson(weight, item);
      return undefined;
    }
    default:
      return {
        status: 400,
        code: 'unsupported_content',
        param: `${path}.type`,
        message: 'Known here: message, function_call, function_call_output, reasoning.',
      };
  }
}

function contentFault(
  content: JsonValue | undefined,
  path: string,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (typeof content === 'string') {
    addText(weight, [content]);
    return undefined;
  }
  if (!isJsonArray(content) || content.length === 0) return invalid(path, 'A text, or a list of text parts.');
  const texts: string[] = [];
  for (const [index, part] of content.entries()) {
    const param = `${path}[${index}]`;
    const type = isJsonObject(part) ? part.get('type') : undefined;
    const text = isJsonObject(part) ? part.get('text') : undefined;
    if (!isJsonObject(part) || (type !== 'input_text' && type !== 'output_text') || typeof text !== 'string')
      return {
        status: 400,
        code: 'unsupported_content',
        param: `${param}.type`,
        message:
          'The only content parts here are {"type": "input_text" or "output_text", "text": "..."}. Images go to /v1/chat/completions.',
      };
    const stranger = unknownMember(part, ['type', 'text', 'annotations', 'logprobs'], param);
    if (stranger) return stranger;
    for (const name of ['annotations', 'logprobs']) {
      const list = part.get(name);
      if (list !== undefined && !(isJsonArray(list) && list.length === 0))
        return invalid(`${param}.${name}`, 'An empty list. Leave it out.');
    }
    texts.push(text);
  }
  addText(weight, texts);
  return undefined;
}

function textFault(
  text: JsonValue | undefined,
  path: string,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (text === undefined) return undefined;
  if (typeof text !== 'string') return invalid(path, 'A text.');
  addMessage(weight);
  addText(weight, [text]);
  return undefined;
}

function toolsFault(
  tools: JsonValue | undefined,
  limits: RequestLimits,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (tools === undefined) return undefined;
  if (!isJsonArray(tools) || tools.length > limits.maxTools)
    return invalid('tools', `A list of at most ${limits.maxTools} tools.`);
  addInstruction(weight);
  for (const [index, tool] of tools.entries()) {
    const param = `tools[${index}]`;
    if (!isJsonObject(tool) || tool.get('type') !== 'function')
      return {
        status: 400,
        code: 'unsupported_content',
        param,
        message: 'The only tools here are {"type": "function", ...}: tools of the server have no bound.',
      };
    const stranger = unknownMember(tool, ['type', 'name', 'description', 'parameters', 'strict'], param);
    if (stranger) return stranger;
    const name = tool.get('name');
    if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(name))
      return invalid(`${param}.name`, '1 to 64 letters, digits, dots, dashes or underscores.');
    addName(weight, name);
    addJson(weight, tool);
  }
  return undefined;
}

function toolChoiceFault(choice: JsonValue | undefined, weight: PromptWeight): RequestRefusal | undefined {
  if (choice === undefined || choice === 'none' || choice === 'auto' || choice === 'required')
    return undefined;
  const name = isJsonObject(choice) && choice.get('type') === 'function' ? choice.get('name') : undefined;
  if (typeof name !== 'string' || (isJsonObject(choice) && choice.size !== 2))
    return invalid('tool_choice', '"none", "auto", "required" or {"type": "function", "name": "..."}.');
  addInstruction(weight);
  addName(weight, name);
  return undefined;
}

function formatFault(text: JsonValue | undefined, weight: PromptWeight): RequestRefusal | undefined {
  if (text === undefined) return undefined;
  if (!isJsonObject(text)) return invalid('text', 'An object with a format.');
  const stranger = unknownMember(text, ['format'], 'text');
  if (stranger) return stranger;
  const format = text.get('format');
  if (format === undefined) return undefined;
  const type = isJsonObject(format) ? format.get('type') : undefined;
  if (!isJsonObject(format) || (type !== 'text' && type !== 'json_object' && type !== 'json_schema'))
    return invalid('text.format.type', 'One of text, json_object, json_schema.');
  const odd = unknownMember(
    format,
    type === 'json_schema' ? ['type', 'name', 'description', 'schema', 'strict'] : ['type'],
    'text.format',
  );
  if (odd) return odd;
  addInstruction(weight);
  addJson(weight, format);
  return undefined;
}
