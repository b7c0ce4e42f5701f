# SPDX-License-Identifier: Apache-2.0
"""Sends ADT in the shape of Homerton's Cerner feed (HL7 2.3.1, `""` everywhere, NHS number in PID-19) over MLLP."""
import datetime
import socket


def stamp(moment):
    """HL7 local time without a zone, to the second, from an aware UTC datetime; London."""
    year = moment.year

    def last_sunday(month):
        day = datetime.datetime(year, month, 31 if month in (3, 10) else 30, 1, tzinfo=datetime.timezone.utc)
        return day - datetime.timedelta(days=(day.weekday() + 1) % 7)
    summer = last_sunday(3) <= moment < last_sunday(10)
    return (moment + datetime.timedelta(hours=1 if summer else 0)).strftime('%Y%m%d%H%M%S')


def location(bed):
    return f'GSU^GSU^{bed}^HOMERTON UNIVER^^Bed(s)^Homerton UH' if bed else '""'


class Feed:
    """One sending application. Messages are numbered; send() waits for the acknowledgement and returns its code."""

    def __init__(self, port, host='127.0.0.1'):
        self.address = (host, port)
        self.number = 0

    def message(self, event, patient, bed, occurred, before=None, told=None, merged=None, second=None):
        self.number += 1
        told = told or occurred
        lines = [f'MSH|^~\\&|HOMERTON_TIE|HOMERTON|WARDGATE|HOMERTON|{stamp(told)}||ADT^{event}|Q{self.number}T{self.number}X1|P|2.3.1',
                 f'EVN|{event}|{stamp(told)}||||{stamp(occurred)}']
        lines += self.group(patient, bed, before)
        if second:
            lines += self.group(*second)
        if merged:
            lines.append(f'MRG|{merged}^^^Homerton Case Note Number^CNN')
        lines.append('ZPI|1|""|""')
        return '\r'.join(lines) + '\r'

    @staticmethod
    def group(patient, bed, before=None):
        return [f'PID|1|{patient}|{patient}^^^Homerton Case Note Number^CNN~{patient[2:]}9^^^Person ID^Person ID|""|'
                f'WARDGATE^{patient}^""||19500101|Female|||""^""||||||||{patient}1^^^Homerton FIN^Encounter No.|""',
                f'PV1|1|Inpatient|{location(bed)}|""|""|{location(before)}||||||||||||Inpatient|{patient}1^0^""^^Attendance No.']

    def send(self, text, timeout=10):
        with socket.create_connection(self.address, timeout) as line:
            line.sendall(b'\x0b' + text.encode() + b'\x1c\x0d')
            answer = b''
            while not answer.endswith(b'\x1c\x0d'):
                chunk = line.recv(65536)
                if not chunk:
                    raise ConnectionError('the ADT listener closed without an acknowledgement')
                answer += chunk
        for segment in answer.strip(b'\x0b\x1c\r').split(b'\r'):
            if segment.startswith(b'MSA|'):
                return segment.split(b'|')[1].decode()
        raise ConnectionError(f'no MSA in {answer!r}')
