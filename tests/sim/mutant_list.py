# SPDX-License-Identifier: Apache-2.0
"""The controls and how each is taken out: name, file, the control's text (white space does not matter), what stands there instead."""

CHART, BEDSIDE = 'gateway/chart/', 'gateway/bedside/'
MUTANTS = [
    # P3: the right patient
    ('match-boundary-ignored', CHART + 'match.c',
     'return evidence->low_us >= stay->from_high_us && evidence->high_us < stay->to_low_us;',
     'return evidence->high_us >= stay->from_low_us && evidence->low_us < stay->to_high_us;'),
    ('match-by-arrival', CHART + 'chart_judge.c', '.low_us = entry->t_low_us, .high_us = entry->t_high_us,',
     '.low_us = entry->received_us, .high_us = entry->received_us,'),
    ('match-several-patients-charted', CHART + 'match.c', 'result->reason = several ? reason : judge(', 'result->reason = judge('),
    ('history-does-not-correct', CHART + 'chart_history.c', 'return chart_review_charted(c, entry, now_us);', 'return true;'),
    ('history-does-not-reopen', CHART + 'chart_history.c', 'return chart_review_held(c, entry, now_us);', 'return true;'),
    ('history-does-not-stop-queued', CHART + 'chart_history.c', 'return review_matched(c, entry, now_us);', 'return true;'),
    ('withdrawal-forgotten', CHART + 'chart_history.c',
     'entry->state = LEDGER_WITHDRAWING; entry->reason = LEDGER_REASON_NONE; return update(c, entry, now_us, WHO_MATCH) && (count > 0 || '
     'withdrawn_without_message(c, entry, now_us));',
     'entry->state = LEDGER_WITHDRAWING; entry->reason = LEDGER_REASON_NONE; return update(c, entry, now_us, WHO_MATCH);'),
    ('cancels-what-may-have-arrived', CHART + 'chart_history.c',
     'if (message.state != LEDGER_OUT_QUEUED || message.attempts > 0) {', 'if (false) {'),
    ('census-keeps-cancelled-transfer', CHART + 'census_derive.c',
     'found = take_back(moves, transfers, &taken); settle(moves, event, found, &taken); return;', 'return;'),
    ('census-keeps-cancelled-discharge', CHART + 'census_derive.c',
     'found = take_back(moves, KIND(ADT_DISCHARGE), &taken); settle(moves, event, found, &taken); return;', 'return;'),
    ('census-discharge-ignored', CHART + 'census_derive.c', 'case ADT_DISCHARGE: move.effect = GONE; break;', 'case ADT_DISCHARGE: return;'),
    ('census-in-order-of-arrival', CHART + 'census_derive.c',
     'while (at > 0 && compare_moves(&moves->items[at - 1], move) > 0) at--;', ''),
    ('adt-local-time-taken-for-utc', CHART + 'adt_event.c', 'adt_span_of(&reader->site->zone, &time, span)',
     'adt_span_of(&(struct zone){0}, &time, span)'),
    # P5: the right time
    ('stamp-believes-any-clock', BEDSIDE + 'stamp.c', 'if (now->sync == CLOCK_SYNCED) { *ms', 'if (true) { *ms'),
    ('stamp-holdover-through-a-step', BEDSIDE + 'stamp.c', 'stamp->sync != CLOCK_UNKNOWN && !stepped &&', 'stamp->sync != CLOCK_UNKNOWN &&'),
    ('timebase-believes-unknown', CHART + 'timebase.c', '} else if (time->sync != wardgate_TimeBlock_Sync_UNKNOWN) {', '} else if (true) {'),
    ('timebase-forgets-uncertainty', CHART + 'timebase.c', 'int64_t wide = (int64_t)time->uncertainty_ms * 1000;', 'int64_t wide = 0;'),
    # P1: nothing lost
    ('gaps-no-restart-gap', BEDSIDE + 'gaps.c', 'gaps->has_last = gaps->restarted = true;', 'gaps->has_last = true, gaps->restarted = false;'),
    ('gaps-jump-unnoticed', BEDSIDE + 'gaps.c', '} else if (both && step != 1) {', '} else if (false) {'),
    ('forward-puback-is-receipt', BEDSIDE + 'forward.c', 'batch->token = -1;', 'batch->token = -1; batch->due_us = UINT64_MAX;'),
    ('store-forgets-unreceipted', BEDSIDE + 'store_state.c', 'if ((fresh = store_unreceipted(store, first, last)) == 0)',
     'first = begin; if ((fresh = store_unreceipted(store, first, last)) == 0)'),
    # P2: nothing twice
    ('control-id-not-of-the-message', CHART + 'deliver.c', '"%s/%.64s/%d", filler, message->destination, (int)message->kind)',
     '"%s/%.64s/%ld", filler, message->destination, (long)message->made_utc_us)'),
    ('control-id-same-for-withdrawal', CHART + 'deliver.c', '"%s/%.64s/%d", filler, message->destination, (int)message->kind)',
     '"%s/%.64s/%d", filler, message->destination, 0)'),
]
