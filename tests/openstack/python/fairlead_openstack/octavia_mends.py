"""Two mends of Octavia 11.0.0, as Debian 12 has it.

A load balancer that is created together with its listeners becomes ACTIVE while they, their pools and members stay in
PENDING_CREATE for ever. A fault octavia.children_stuck leaves the defect to its project.

And a place for faults: octavia.update_load_balancer strikes the worker's work on a load balancer that is PENDING_UPDATE.
"""
import json

from octavia.common import constants
from octavia.controller.worker.v2 import controller_worker
from octavia.controller.worker.v2.flows import load_balancer_flows
from octavia.controller.worker.v2.tasks import network_tasks

from fairlead_openstack import faults


def _left_stuck(listeners):
    text = json.dumps(listeners or [], default=str)
    return any(project in text for project in faults.projects('octavia.children_stuck'))


def _mend_run_flow():
    """run_flow() gives its keyword arguments to taskflow and not to the flow's factory, which so sees no listeners."""
    stock = controller_worker.ControllerWorker.run_flow

    def run_flow(self, func, *args, **kwargs):
        if _left_stuck(kwargs.get('listeners')):
            return stock(self, func, *args, **kwargs)
        store = kwargs.pop('store', None)
        flow = self.tf_engine.taskflow_load(func(*args, **kwargs), store=store)
        with controller_worker.tf_logging.DynamicLoggingListener(flow, log=controller_worker.LOG):
            flow.run()

    controller_worker.ControllerWorker.run_flow = run_flow


def _mend_listeners_flow():
    """The flow of the listeners lacks the task that provides amphorae_network_config."""
    flows = load_balancer_flows.LoadBalancerFlows
    stock = flows._create_listeners_flow

    def _create_listeners_flow(self):
        tasks = stock(self)
        after = [isinstance(task, network_tasks.HandleNetworkDeltas) for task in tasks].index(True)
        tasks.insert(after + 1, network_tasks.GetAmphoraeNetworkConfigs(
            name='fairlead-get-amphorae-network-configs',
            requires=constants.LOADBALANCER_ID, provides=constants.AMPHORAE_NETWORK_CONFIG))
        return tasks

    flows._create_listeners_flow = _create_listeners_flow


def _update_with_faults():
    stock = controller_worker.ControllerWorker.update_load_balancer

    def update_load_balancer(self, original_load_balancer, load_balancer_updates):
        faults.hit('octavia', 'update_load_balancer', original_load_balancer.get(constants.PROJECT_ID, ''))
        return stock(self, original_load_balancer, load_balancer_updates)

    controller_worker.ControllerWorker.update_load_balancer = update_load_balancer


def apply():
    _mend_run_flow()
    _mend_listeners_flow()
    _update_with_faults()
