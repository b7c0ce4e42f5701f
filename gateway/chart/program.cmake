# The program: everything is in the room's library but main.
wardgate_program(wardgate-chart SOURCES main.c LINK chart)
