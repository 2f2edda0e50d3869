import { type ChatMessage, members, type ToolDefinition, textOf } from './qwen-answers.ts';

/** `/v1/responses` items as the messages of a chat. */
export function messagesOf(body: { readonly [key: string]: unknown }): ChatMessage[] {
  const { input, instructions } = body;
  const said: ChatMessage[] =
    typeof instructions === 'string' ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...said, { role: 'user', content: input }];
  for (const item of Array.isArray(input) ? input : []) {
    const { type, role, content, output } = members(item) ?? {};
    if (type === 'function_call_output') said.push({ role: 'tool', content: output });
    else if (type === undefined || type === 'message')
      said.push({ role: String(role), content: textOf(content) });
  }
  return said;
}

export const toolsOf = (tools: unknown): ToolDefinition[] =>
  (Array.isArray(tools) ? tools : []).map((tool) => ({ function: tool as ToolDefinition['function'] }));

/** `text.format` as a chat's `response_format`. */
export function formatOf(text: unknown): unknown {
  const format = members(members(text)?.['format']);
  return format?.['type'] === 'json_schema' ? { type: 'json_schema', json_schema: format } : format;
}

export type ResponseAnswer = {
  readonly thinking: string;
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
};

/** The response object, its output empty until it is complete. */
export function responseBody(
  id: string,
  model: string,
  answer: ResponseAnswer,
  usage: { readonly [key: string]: unknown } | undefined,
): { readonly [key: string]: unknown } {
  const output: unknown[] = [];
  if (usage !== undefined) {
    if (answer.thinking !== '')
      output.push({
        type: 'reasoning',
        id: `rs_${id}`,
        summary: [{ type: 'summary_text', text: answer.thinking }],
      });
    if (answer.calls.length > 0)
      for (const [index, call] of answer.calls.entries())
        output.push({
          type: 'function_call',
          id: `fc_${id}_${index}`,
          call_id: `call_${id}_${index}`,
          name: call.name,
          arguments: call.arguments,
          status: 'completed',
        });
    else
      output.push({
        type: 'message',
        id: `msg_${id}`,
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: answer.text, annotations: [] }],
      });
  }
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    model,
    status: usage === undefined ? 'in_progress' : 'completed',
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    output,
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    usage: usage ?? null,
  };
}

/** The usage of a chat under the names it has here. */
export const responseUsage = (usage: {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens: number };
}) => ({
  input_tokens: usage.prompt_tokens,
  input_tokens_details: { cached_tokens: usage.prompt_tokens_details.cached_tokens },
  output_tokens: usage.completion_tokens,
  output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
  total_tokens: usage.total_tokens,
});

type Event = { readonly type: string; readonly [key: string]: unknown };

/** The events of a streamed response, in order; deltas of `pieces`. */
export function responseEvents(
  id: string,
  model: string,
  answer: ResponseAnswer,
  usage: { readonly [key: string]: unknown },
  pieces: (text: string) => readonly string[],
): Event[] {
  const begun = responseBody(id, model, answer, undefined);
  const complete = responseBody(id, model, answer, usage);
  const events: Event[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
  ];
  const output = complete['output'] as { readonly type: string; readonly id: string }[];
  for (const [index, item] of output.entries()) {
    const at = { output_index: index, item_id: item.id };
    events.push({
      type: 'response.output_item.added',
      output_index: index,
      item: { ...item, status: 'in_progress', ...(item.type === 'message' ? { content: [] } : {}) },
    });
    if (item.type === 'reasoning')
      for (const delta of pieces(answer.thinking))
        events.push({ type: 'response.reasoning_summary_text.delta', ...at, summary_index: 0, delta });
    if (item.type === 'function_call')
      for (const delta of pieces((item as unknown as { arguments: string }).arguments))
        events.push({ type: 'response.function_call_arguments.delta', ...at, delta });
    if (item.type === 'message') {
      const part = { type: 'output_text', text: '', annotations: [] };
      events.push({ type: 'response.content_part.added', ...at, content_index: 0, part });
      for (const delta of pieces(answer.text))
        events.push({ type: 'response.output_text.delta', ...at, content_index: 0, delta });
      events.push({ type: 'response.output_text.done', ...at, content_index: 0, text: answer.text });
      events.push({
        type: 'response.content_part.done',
        ...at,
        content_index: 0,
        part: { ...part, text: answer.text },
      });
    }
    events.push({ type: 'response.output_item.done', output_index: index, item });
  }
  events.push({ type: 'response.completed', response: complete });
  return events.map((event, index) => ({ ...event, sequence_number: index }));
}
