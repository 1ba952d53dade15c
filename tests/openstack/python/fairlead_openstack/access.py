"""An access log as JSON lines, the same for every service, with the client's user agent.

A request is logged before its answer leaves: who has the answer finds the line.
"""
import json
import os
import time
import urllib.parse

from fairlead_openstack import STATE


class AccessLog:
    """WSGI middleware that writes log/<service>.access.log."""

    def __init__(self, application, service):
        self.application = application
        path = os.path.join(STATE, 'log', service + '.access.log')
        self.fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def __call__(self, environ, start_response):
        begin = time.time()
        uri = urllib.parse.quote(environ.get('SCRIPT_NAME', '') + environ.get('PATH_INFO', ''))
        if environ.get('QUERY_STRING'):
            uri += '?' + environ['QUERY_STRING']
        line = {
            'time': time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(begin)) + '.%03dZ' % (begin % 1 * 1000),
            'method': environ.get('REQUEST_METHOD', ''),
            'uri': uri,
            'agent': environ.get('HTTP_USER_AGENT', ''),
        }

        def logged(status, headers, *args):
            line['status'] = int(status.split(' ')[0])
            line['msecs'] = int((time.time() - begin) * 1000)
            # One write of one line: processes that share the file do not mix theirs.
            os.write(self.fd, (json.dumps(line) + '\n').encode())
            return start_response(status, headers, *args)

        return self.application(environ, logged)
