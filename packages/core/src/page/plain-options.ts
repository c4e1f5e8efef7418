import type { ToolDefinition } from '@ossicle/harmony';
import type { GenerateOptions } from '../types/generate.ts';
import type { PlainGenerateOptions } from '../worker/model-service.ts';

/** The options that can be cloned: without the signal, those of the loop that runs tools, and the tools' functions. */
export function toPlain(options: GenerateOptions): PlainGenerateOptions {
  const {
    signal: _signal,
    stopWhen: _stopWhen,
    prepareStep: _prepareStep,
    onStepFinish: _onStepFinish,
    repairToolCall: _repairToolCall,
    approveToolCall: _approveToolCall,
    ...plain
  } = options;
  const { tools, builtInTools } = plain;
  return {
    ...plain,
    ...(tools && { tools: tools.map(withoutFunctions) }),
    ...(builtInTools && {
      builtInTools: builtInTools.map(({ name, description, tools: inner }) => ({
        name,
        ...(description !== undefined && { description }),
        ...(inner && { tools: inner.map(withoutFunctions) }),
      })),
    }),
  };
}

function withoutFunctions(tool: ToolDefinition): ToolDefinition {
  const {
    validate: _validate,
    needsApproval: _needsApproval,
    execute: _execute,
    toModelOutput: _toModelOutput,
    ...plain
  } = tool;
  return plain;
}
