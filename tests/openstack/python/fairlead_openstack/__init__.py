"""What Fairlead's test cloud adds to Debian's OpenStack: drivers without hardware, faults, access logs."""
import os

STATE = os.environ['FAIRLEAD_OPENSTACK_DIR']
"""The stack's state directory."""
