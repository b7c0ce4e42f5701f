# What an engineer commissions with: the verbs that read a line themselves.
target_sources(tool PRIVATE ${CMAKE_CURRENT_LIST_DIR}/where.c ${CMAKE_CURRENT_LIST_DIR}/who.c ${CMAKE_CURRENT_LIST_DIR}/scan.c
    ${CMAKE_CURRENT_LIST_DIR}/read.c ${CMAKE_CURRENT_LIST_DIR}/read_orders.c ${CMAKE_CURRENT_LIST_DIR}/survey.c
    ${CMAKE_CURRENT_LIST_DIR}/survey_picture.c ${CMAKE_CURRENT_LIST_DIR}/probe.c ${CMAKE_CURRENT_LIST_DIR}/record.c
    ${CMAKE_CURRENT_LIST_DIR}/certify.c ${CMAKE_CURRENT_LIST_DIR}/certify_page.c ${CMAKE_CURRENT_LIST_DIR}/bundle.c)
target_link_libraries(tool PUBLIC ports profile)
