"""vLLM's counters, in the words that engines have in common."""

from __future__ import annotations

from hydra_box.engines.metrics import EngineMetrics, MetricsPage


def understand(metrics: bytes) -> EngineMetrics:
    """What its page says.

    Raises:
        EngineError: it is not understood.

    """
    page = MetricsPage(metrics)
    return EngineMetrics(
        running=page.need("vllm:num_requests_running"),
        waiting=page.need("vllm:num_requests_waiting"),
        kv_cache_used_ratio=page.find("vllm:kv_cache_usage_perc"),
        prompt_tokens=page.find("vllm:prompt_tokens_total"),
        cached_tokens=page.find("vllm:prompt_tokens_cached_total"),
        completion_tokens=page.find("vllm:generation_tokens_total"),
        prefill_seconds=page.find("vllm:request_prefill_time_seconds_sum"),
        decode_seconds=page.find("vllm:request_decode_time_seconds_sum"),
        steps=page.find("vllm:iteration_tokens_total_count"),
        preemptions=page.find("vllm:num_preemptions_total"),
        drafts=page.find("vllm:spec_decode_num_drafts_total"),
        drafted_tokens=page.find("vllm:spec_decode_num_draft_tokens_total"),
        accepted_tokens=page.find("vllm:spec_decode_num_accepted_tokens_total"),
        ttft_seconds=page.histogram("vllm:time_to_first_token_seconds"),
        tpot_seconds=page.histogram("vllm:request_time_per_output_token_seconds"),
        duration_seconds=page.histogram("vllm:e2e_request_latency_seconds"),
    )
