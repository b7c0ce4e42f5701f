# SPDX-License-Identifier: Apache-2.0
"""The controls and how each is taken out: name, file, the control's text (white space does not matter), what stands there instead.

Not here, because a second control stands behind each and no single removal shows: the restart gap (the sample counter's jump tells too),
taking PUBACK for a receipt and forgetting what is unreceipted (the chart asks for what it misses), holdover through a step of the clock (the next clock
fix contradicts it). Unit tests hold each of them."""

CHART, BEDSIDE, WIRE = 'gateway/chart/', 'gateway/bedside/', 'gateway/wire/'
MUTANTS = [
    # P3: the right patient
    ('match-boundary-ignored', CHART + 'match.c',
     'return evidence->low_us >= stay->from_high_us && evidence->high_us < stay->to_low_us;',
     'return evidence->high_us >= stay->from_low_us && evidence->low_us < stay->to_high_us;'),
    ('match-by-arrival', CHART + 'chart_judge.c', '.low_us = entry->t_low_us, .high_us = entry->t_high_us,',
     '.low_us = entry->received_us, .high_us = entry->received_us,'),
    ('match-several-patients-charted', CHART + 'match.c', 'result->reason = several ? reason : judge(', 'result->reason = judge('),
    ('history-does-not-correct', CHART + 'chart_history.c', 'return chart_review_charted(c, entry, now_us);', 'return true;'),
    ('history-does-not-reopen', CHART + 'chart_history.c', ': chart_review_held(c, entry, now_us);', ': true;'),
    ('history-does-not-stop-queued', CHART + 'chart_history.c', 'return review_matched(c, entry, now_us);', 'return true;'),
    ('cancels-what-may-have-arrived', CHART + 'chart_history.c',
     'if (message.state != LEDGER_OUT_QUEUED || message.attempts > 0) {', 'if (false) {'),
    ('census-keeps-cancelled-transfer', CHART + 'census_derive.c',
     'found = take_back(moves, transfers, &taken); settle(moves, event, found, &taken); return;', 'return;'),
    ('census-keeps-cancelled-discharge', CHART + 'census_derive.c',
     'found = take_back(moves, KIND(ADT_DISCHARGE), &taken); settle(moves, event, found, &taken); return;', 'return;'),
    ('census-discharge-ignored', CHART + 'census_derive.c', 'case ADT_DISCHARGE: move.effect = GONE; break;', 'case ADT_DISCHARGE: return;'),
    ('census-in-order-of-arrival', CHART + 'census_derive.c',
     'while (at > 0 && compare_moves(&moves->items[at - 1], move) > 0) at--;', ''),
    ('adt-local-time-taken-for-utc', CHART + 'adt_time.c', 'n = zone_to_utc(zone, &civil, utc);',
     'n = zone_to_utc(&(struct zone){0}, &civil, utc);'),
    ('refusal-after-silence-is-believed', CHART + 'deliver_queue.c',
     'return message->state == LEDGER_OUT_DONE || (message->state == LEDGER_OUT_DEAD && (message->tag & OUT_UNANSWERED) != 0);',
     'return message->state == LEDGER_OUT_DONE;'),
    ('broken-connection-forgotten', CHART + 'deliver_queue.c', 'message.tag |= slot->unanswered ? OUT_UNANSWERED : 0;', ''),
    ('kill-forgets-what-was-under-way', CHART + 'deliver_queue.c', 'page[j].tag |= OUT_UNANSWERED;', ''),
    ('history-does-not-take-back-what-may-stand', CHART + 'chart_history.c', 'return entry->reason == CHART_MAY_STAND ?', 'return entry->reason == CHART_MAY_STAND ? true :'
     ' false ?'),
    # P5: the right time
    ('stamp-believes-any-clock', BEDSIDE + 'stamp.c', 'if (now->sync == CLOCK_SYNCED) { *ms', 'if (true) { *ms'),
    ('timebase-believes-unknown', CHART + 'timebase.c', '} else if (time->sync != wardgate_TimeBlock_Sync_UNKNOWN) {', '} else if (true) {'),
    ('timebase-forgets-uncertainty', CHART + 'timebase.c', 'int64_t wide = (int64_t)time->uncertainty_ms * 1000;', 'int64_t wide = 0;'),
    # P1: nothing lost
    ('gaps-forgotten', BEDSIDE + 'gaps.c', 'gaps->restarted = gaps->open = false; return GAPS_NEW;',
     'gaps->restarted = gaps->open = false; out->count = 0; return GAPS_NEW;'),
    # P7: whose readings a full store gave up
    ('full-store-counts-for-another-device', WIRE + 'gap_devices.c',
     'if (strcmp(list->items[at].id, id) == 0 && strcmp(list->items[at].place, place) == 0) return at;', '(void)id, (void)place; return at;'),
    ('full-store-leaves-a-device-out', CHART + 'intake_gap.c', 'for (size_t i = 0; i < intake->devices.count; i++)',
     'for (size_t i = 1; i < intake->devices.count; i++)'),
    ('full-store-list-is-cut', WIRE + 'gap_devices.c', 'for (size_t i = 0; i < list->count; i++) put_part(',
     'for (size_t i = 1; i < list->count; i++) put_part('),
    ('what-came-before-stays-missing', CHART + 'ledger_gap.c', 'part->outstanding -= less; return count - less;', 'return count - less;'),
    # P2: nothing twice
    ('control-id-not-of-the-message', CHART + 'deliver.c', '"%s/%.64s/%d", filler, message->destination, (int)message->kind)',
     '"%s/%.64s/%ld", filler, message->destination, (long)message->made_utc_us)'),
    ('control-id-same-for-withdrawal', CHART + 'deliver.c', '"%s/%.64s/%d", filler, message->destination, (int)message->kind)',
     '"%s/%.64s/%d", filler, message->destination, 0)'),
]
