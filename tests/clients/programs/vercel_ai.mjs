// The AI SDK of Vercel does a turn with a tool, a stream and a structured answer, on all
// surfaces; each surface and feature is told in a line of JSON.

import { readFileSync } from 'node:fs';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

const PROMPTS = JSON.parse(readFileSync('tasks.json', 'utf8')).prompts;
globalThis.AI_SDK_LOG_WARNINGS = false;

const options = {
  name: 'router',
  apiKey: process.env.TOKEN,
  baseURL: `${process.env.BASE_URL}/v1`,
};
const compatible = {
  ...options,
  includeUsage: true,
  supportsStructuredOutputs: true,
};
// Without this, later turns refer to items that the provider of OpenAI stored.
const providerOptions = { openai: { store: false } };
const models = {
  'openai-chat': createOpenAICompatible(compatible)('chat'),
  'openai-responses': createOpenAI(options)('chat'),
  'anthropic-messages': createAnthropic(options)('chat'),
};

const add = tool({
  description: 'Add two numbers.',
  inputSchema: z.object({ a: z.int(), b: z.int() }),
  execute: ({ a, b }) => a + b,
});
const schema = z.object({
  kind: z.literal('city'),
  name: z.string(),
  population: z.int(),
});

const FEATURES = {
  async tool(asking) {
    const { steps, text } = await generateText({
      ...asking,
      prompt: PROMPTS.tool,
      tools: { add },
      stopWhen: stepCountIs(3),
    });
    const calls = steps.flatMap(({ toolCalls }) =>
      toolCalls.map(({ toolName, input }) => [toolName, input]),
    );
    return { calls, text };
  },

  async stream(asking) {
    const result = streamText({ ...asking, prompt: PROMPTS.streamed });
    const pieces = await Array.fromAsync(result.textStream);
    const { inputTokens, cachedInputTokens, outputTokens } = await result.usage;
    return {
      text: pieces.join(''),
      pieces: pieces.length > 1,
      fresh: inputTokens - cachedInputTokens,
      cached: cachedInputTokens,
      output: outputTokens,
    };
  },

  async structured(asking) {
    const { output } = await generateText({
      ...asking,
      prompt: PROMPTS.structured,
      output: Output.object({ schema }),
    });
    return output;
  },
};

for (const [surface, model] of Object.entries(models)) {
  const asking = { model, providerOptions, maxRetries: 0 };
  for (const [name, feature] of Object.entries(FEATURES)) {
    const value = await feature(asking).catch((error) => ({ failed: error.stack }));
    console.log(JSON.stringify([surface, name, value]));
  }
}
