"""What a group promises: a target that does not keep it is not eligible for any call.

A contract filters, and chooses nobody. What a target does not keep is told in codes:

    contract-required-api-shape          it cannot be asked in one of the dialects
    contract-required-modality           it does not read one of the inputs
    contract-required-tools              it lacks a kind of tool calls
    contract-required-structured-output  it cannot be bound to JSON
    contract-required-reasoning          it does not reason
    contract-required-output-cap         it does not keep to an output cap
    contract-required-context            its context is smaller, or is not declared
"""

from smart_llmrouter.config.policies import Contract
from smart_llmrouter.config.snapshot import Group, Target


def breaches(group: Group, target: Target) -> tuple[str, ...]:
    """Return what of the contract of `group` its `target` does not keep."""
    contract = group.contract
    if contract is None:
        return ()
    context, least = target.context_tokens, contract.min_context_tokens
    checks = (
        ("api-shape", not _serves(group, target, contract)),
        ("modality", not set(contract.input).issubset(target.reads)),
        ("tools", not set(contract.tools).issubset(target.tools or ())),
        (
            "structured-output",
            contract.structured_outputs and not target.structured_outputs,
        ),
        ("reasoning", contract.reasoning and not target.reasons),
        (
            "output-cap",
            contract.honors_output_cap and target.honors_output_cap is False,
        ),
        ("context", least is not None and (context is None or context < least)),
    )
    return tuple(f"contract-required-{what}" for what, broken in checks if broken)


def _serves(group: Group, target: Target, contract: Contract) -> bool:
    """Say whether a target can be asked in all dialects of the contract."""
    spoken = target.provider.dialect
    return group.bridges != "off" or all(each == spoken for each in contract.dialects)
