# Ledger, intake and timebase: a test a file, and random work against a model.
foreach(name ledger losses overdue ledger_source ledger_log ledger_model timebase intake)
    wardgate_unit_test(chart_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/chart_${name}_test.c LINK chart)
endforeach()
