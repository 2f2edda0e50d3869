import { isJsonArray, isJsonObject, type JsonValue } from './json.ts';
import { addInstruction, addJson, addName, type PromptWeight } from './prompt-weight.ts';
import type { RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, unknownMember } from './request-refusal.ts';

export function toolsFault(
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
    const described = isJsonObject(tool) ? tool.get('function') : undefined;
    if (!isJsonObject(tool) || tool.get('type') !== 'function' || !isJsonObject(described))
      return {
        status: 400,
        code: 'unsupported_content',
        param,
        message:
          'The only tools here are {"type": "function", "function": {...}}: tools of the server have no bound.',
      };
    const fault =
      unknownMember(tool, ['type', 'function'], param) ??
      unknownMember(described, ['name', 'description', 'parameters', 'strict'], `${param}.function`);
    if (fault) return fault;
    const name = described.get('name');
    if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(name))
      return invalid(`${param}.function.name`, '1 to 64 letters, digits, dots, dashes or underscores.');
    const description = described.get('description') ?? null;
    if (description !== null && typeof description !== 'string')
      return invalid(`${param}.function.description`, 'A text.');
    const parameters = described.get('parameters') ?? null;
    if (parameters !== null && !isJsonObject(parameters))
      return invalid(`${param}.function.parameters`, 'A JSON schema (an object).');
    const strict = described.get('strict') ?? null;
    if (strict !== null && typeof strict !== 'boolean')
      return invalid(`${param}.function.strict`, 'true or false.');
    addName(weight, name);
    addJson(weight, tool);
  }
  return undefined;
}

export function toolChoiceFault(
  choice: JsonValue | undefined,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (choice === undefined || choice === 'none' || choice === 'auto' || choice === 'required')
    return undefined;
  const chosen =
    isJsonObject(choice) && choice.size === 2 && choice.get('type') === 'function' && choice.get('function');
  const name = chosen && isJsonObject(chosen) && chosen.size === 1 ? chosen.get('name') : undefined;
  if (typeof name !== 'string')
    return invalid(
      'tool_choice',
      '"none", "auto", "required" or {"type": "function", "function": {"name": "..."}}.',
    );
  addInstruction(weight);
  addName(weight, name);
  return undefined;
}

export function responseFormatFault(
  format: JsonValue | undefined,
  weight: PromptWeight,
): RequestRefusal | undefined {
  if (format === undefined) return undefined;
  if (!isJsonObject(format)) return invalid('response_format', 'An object with a type.');
  const type = format.get('type');
  if (type !== 'text' && type !== 'json_object' && type !== 'json_schema')
    return invalid('response_format.type', 'One of text, json_object, json_schema.');
  const stranger = unknownMember(
    format,
    type === 'json_schema' ? ['type', 'json_schema'] : ['type'],
    'response_format',
  );
  if (stranger) return stranger;
  addInstruction(weight);
  if (type !== 'json_schema') return undefined;
  const wrapper = format.get('json_schema');
  if (!isJsonObject(wrapper))
    return invalid('response_format.json_schema', 'An object with name and schema.');
  const odd = unknownMember(
    wrapper,
    ['name', 'description', 'schema', 'strict'],
    'response_format.json_schema',
  );
  if (odd) return odd;
  addJson(weight, wrapper);
  return undefined;
}
