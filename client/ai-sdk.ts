// A provider for the Vercel AI SDK. `@ai-sdk/openai-compatible` is theirs, and the application's to install.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { type AgentFetch, type AgentFetchOptions, createAgentFetch } from './agent-fetch.ts';

export type TallystickProvider = ReturnType<typeof createOpenAICompatible> & {
  /** The fetch the models are asked with: its receipts, its exposure. */
  readonly agentFetch: AgentFetch;
};

/**
 * `generateText({ model: createTallystick({ wallet, agent, gateway })('qwen-plus'), prompt })`. Options are those of
 * `createAgentFetch`; an agent's fetch that exists already may be given as `agentFetch` instead, to share its vouchers.
 */
export function createTallystick(
  options: AgentFetchOptions | { readonly agentFetch: AgentFetch },
): TallystickProvider {
  const agentFetch = 'agentFetch' in options ? options.agentFetch : createAgentFetch(options);
  const provider = createOpenAICompatible({
    name: 'tallystick',
    baseURL: `${agentFetch.gateway}/v1`,
    fetch: agentFetch,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  return Object.assign(provider, { agentFetch });
}
