"""The closed list of metric names: nothing else is exported, and no label ever holds a job id or a user.

Labels: `step` is a step or sink, `outcome` one of emit, retry, reject, hold, skip, `code` the code of an error in
`schemas.errors`, `reason` why a watchdog ended a process (`processors.endings`), `route` a path as the API declares it,
`group` and `topic` names of `schemas.topics`,
`what` and `duty` kinds of findings and duties of the reconciler.
"""

from typing import Literal

Metric = Literal[
    # Counter {step, outcome}: records by what became of them.
    "headrace_step_records_total",
    # Counter {step, code}: records that went to the dead-letter topic, by the code of the error.
    "headrace_step_rejects_total",
    # Histogram {step}: seconds a batch spent in its handler.
    "headrace_step_batch_seconds",
    # Histogram {step}: records of a batch.
    "headrace_step_batch_records",
    # Histogram {step}: seconds from a record's timestamp to the begin of its handling.
    "headrace_step_queue_seconds",
    # Gauge {step}: 1 while the step holds because a dependency is down or a record is newer than it.
    "headrace_step_holding",
    # Gauge {step}: 1 while an order on `headrace.control` halts the step.
    "headrace_step_halted",
    # Counter {reason}: processes of this slot that ended themselves, over restarts that share a run directory.
    "headrace_watchdog_ends_total",
    # Counter {step}: decoding or engine child processes that died.
    "headrace_step_child_deaths_total",
    # Histogram {route, status}: seconds of an HTTP request.
    "headrace_api_request_seconds",
    # Counter: jobs accepted (202); by tenant it would tell everybody who can scrape.
    "headrace_api_accepted_total",
    # Gauge {group, topic}: records not yet committed by the group.
    "headrace_group_lag_records",
    # Gauge {group, topic}: age in seconds of the oldest record not yet committed by the group.
    "headrace_group_oldest_age_seconds",
    # Gauge: event streams (SSE) that are open now.
    "headrace_api_streams",
    # Counter {topic}: outbox records that the relay put on a topic.
    "headrace_relay_records_total",
    # Gauge: outbox rows that the relay has not published yet.
    "headrace_relay_waiting_records",
    # Gauge: age in seconds of the oldest of them.
    "headrace_relay_oldest_age_seconds",
    # Counter {what}: what the reconciler found and put right or swept, by kind.
    "headrace_reconciler_found_total",
    # Gauge {duty}: when a round of the reconciler's duty last ended well, Unix seconds.
    "headrace_reconciler_round_timestamp_seconds",
    # Gauge {step}: dead letters that nobody has redriven or discarded, by the step that rejected them.
    "headrace_dead_letters_open",
    # Gauge {lane}: pages that wait in the dispatcher's backlog.
    "headrace_dispatcher_waiting_pages",
    # Gauge {lane}: age in seconds of the job that waits longest.
    "headrace_dispatcher_oldest_age_seconds",
    # Gauge {lane}: pages released that have not come to their fate.
    "headrace_dispatcher_in_work_pages",
    # Gauge: pages that may be in work at once.
    "headrace_dispatcher_window_pages",
    # Counter {lane}: pages released to the steps.
    "headrace_dispatcher_released_pages_total",
    # Gauge {tenant}: waiting pages of the twenty tenants with most; on the dispatcher's own port alone.
    "headrace_dispatcher_tenant_waiting_pages",
    # Gauge {tenant}: weights that differ from 1.
    "headrace_dispatcher_tenant_weight",
    # Counter {outcome}: attempts to deliver a webhook: delivered, failed, or refused for where it would have gone.
    "headrace_webhook_attempts_total",
    # Gauge: records on the dead-letter topic.
    "headrace_dead_letters_records",
    # Gauge {version}: always 1; which release a process runs.
    "headrace_build_info",
]
