// Command controlplane is etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler in one file: the first argument picks one.
package main

import (
	"fmt"
	"os"
	_ "time/tzdata" // CronJobs name time zones

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) > 1 {
		os.Args = os.Args[1:]
		switch os.Args[0] {
		case "etcd":
			etcdmain.Main(os.Args)
			return
		case "kube-apiserver":
			os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
		case "kube-controller-manager":
			os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
		case "kube-scheduler":
			os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
		}
	}
	fmt.Fprintln(os.Stderr, "usage: controlplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler [flags]")
	os.Exit(2)
}
