# chart: the core, messages to EPRs, the worklist and the configuration.
wardgate_unit_test(chart_deliver_test SOURCES chart_deliver_test.c LINK chart)
wardgate_unit_test(chart_core_test SOURCES chart_core_test.c chart_core_parts.c LINK chart)
wardgate_unit_test(chart_config_test SOURCES chart_config_test.c LINK chart)
wardgate_unit_test(chart_epr_file_test SOURCES chart_epr_file_test.c LINK chart)
wardgate_unit_test(chart_stand_test SOURCES chart_stand_test.c chart_core_parts.c LINK chart)
wardgate_unit_test(chart_floor_test SOURCES chart_floor_test.c chart_core_parts.c LINK chart)
wardgate_unit_test(chart_core_random_test SOURCES chart_core_random_test.c chart_core_parts.c LINK chart)
wardgate_unit_test(chart_core_drain_test SOURCES chart_core_drain_test.c chart_core_parts.c LINK chart)
