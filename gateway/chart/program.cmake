# The program: everything is in the room's library but main.
wardgate_program(wardgate-chart SOURCES main.c LINK chart)
# No true time is earlier than the build: certificates are judged at no earlier one (honours SOURCE_DATE_EPOCH).
string(TIMESTAMP chart_build_utc_s "%s" UTC)
target_compile_definitions(wardgate-chart PRIVATE CHART_BUILD_UTC_S=INT64_C\(${chart_build_utc_s}\))
