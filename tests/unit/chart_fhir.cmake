# chart: FHIR Bundles and the way to a FHIR server.
wardgate_unit_test(chart_fhir_test SOURCES chart_fhir_test.c LINK chart)
wardgate_unit_test(chart_fhir_answer_test SOURCES chart_fhir_answer_test.c LINK chart)
