"""Tests of the report in all its forms. Begin with test_report.py; test_report_browser.py opens the page in a browser
where there is one.
"""
