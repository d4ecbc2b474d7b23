"""placeholder"""
from edgebert.convert.report import Report

def to_html(report: Report) -> str:
    return "<html></html>"
