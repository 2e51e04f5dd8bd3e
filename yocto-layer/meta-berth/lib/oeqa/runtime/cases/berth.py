# SPDX-License-Identifier: Apache-2.0
"""Berth on a booted image: TEST_SUITES = "ping ssh berth", then `bitbake berth-image -c testimage`."""

import json

from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

POD = """apiVersion: v1
kind: Pod
metadata: {name: oeqa}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.example/hello:1", command: [/hello]}]
"""
MANIFEST = "/etc/berth/manifests/oeqa.yaml"


class BerthTest(OERuntimeTestCase):
    def run_ok(self, command, timeout=300):
        status, output = self.target.run(command, timeout)
        self.assertEqual(status, 0, msg="%s: %s" % (command, output))
        return output

    @OETestDepends(["ssh.SSHTest.test_ssh"])
    @OEHasPackage(["berth"])
    def test_doctor(self):
        """This kernel and system have all that pods need."""
        findings = json.loads(self.run_ok("berth doctor -o json"))["findings"]
        failed = [finding for finding in findings if finding["state"] == "fail"]
        self.assertEqual(failed, [])

    @OETestDepends(["berth.BerthTest.test_doctor"])
    def test_health(self):
        """All required pods come up by themselves."""
        self.run_ok("berth health --wait --timeout=4m")

    @OETestDepends(["berth.BerthTest.test_health"])
    @OEHasPackage(["berth-example"])
    def test_baked_pod(self):
        """The example's pod runs from the vendor's store, and nothing of it was unpacked."""
        self.assertIn("hello from a pod", self.run_ok("berth logs hello"))
        self.assertIn("berth.example/hello:1", self.run_ok("berth image ls"))

    @OETestDepends(["berth.BerthTest.test_baked_pod"])
    def test_manifest_comes_and_goes(self):
        """What is dropped into the owner's directory runs; what is removed leaves nothing."""
        self.run_ok("test -w /etc/berth/manifests || mount -t tmpfs tmpfs /etc/berth/manifests")
        self.run_ok("cat >%s.new <<'Y'\n%sY\nmv %s.new %s" % (MANIFEST, POD, MANIFEST, MANIFEST))
        self.run_ok("berth wait pod/oeqa --for=condition=Ready --timeout=60s")
        self.run_ok("rm %s" % MANIFEST)
        self.run_ok("berth wait pod/oeqa --for=delete --timeout=60s")

    @OETestDepends(["berth.BerthTest.test_baked_pod"])
    def test_pods_outlive_the_service(self):
        """A restart of the service restarts no container."""
        pid = "cat $(find /sys/fs/cgroup/kubepods -name cgroup.procs | xargs grep -l . | head -n 1)"
        before = self.run_ok(pid)
        self.run_ok("systemctl restart berth || /etc/init.d/berth restart")
        self.run_ok("berth health --wait --timeout=60s")
        self.assertEqual(self.run_ok(pid), before)
