// Command clients drives a Kubernetes API server the way controllers written in Go do, and ends with 0 when
// everything went as client-go expects it. Usage: clients KUBECONFIG
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

const (
	namespace = "default"
	patience  = 30 * time.Second
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	for _, contentType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		copied := rest.CopyConfig(config)
		copied.QPS = -1
		copied.ContentType = contentType
		copied.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		client, err := kubernetes.NewForConfig(copied)
		if err != nil {
			return err
		}
		for _, flow := range []struct {
			name string
			run  func(context.Context, kubernetes.Interface) error
		}{
			{"writes", writes},
			{"informers", watchAll},
			{"leader election", elect},
			{"events", recordEvent},
		} {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			err := flow.run(ctx, client)
			cancel()
			if err != nil {
				return fmt.Errorf("%s with %s: %w", flow.name, contentType, err)
			}
			fmt.Printf("ok %s with %s\n", flow.name, contentType)
		}
	}
	return nil
}

func service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeNodePort,
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80}},
		},
	}
}

// Create, dry run, the three patches, update with a conflict, status, delete with preconditions.
func writes(ctx context.Context, client kubernetes.Interface) error {
	services := client.CoreV1().Services(namespace)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if tried, err := services.Create(ctx, service("go"), dry); err != nil || tried.Spec.ClusterIP == "" {
		return fmt.Errorf("dry run gave %v: %w", tried, err)
	}
	if _, err := services.Get(ctx, "go", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("after a dry run: %w", err)
	}
	made, err := services.Create(ctx, service("go"), metav1.CreateOptions{FieldValidation: "Strict"})
	if err != nil {
		return err
	}
	if made.Spec.ClusterIP == "" || made.Spec.Ports[0].NodePort == 0 {
		return fmt.Errorf("nothing was allocated: %v", made.Spec)
	}
	if _, err := services.Create(ctx, service("go"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("created twice: %w", err)
	}
	bad := service("bad")
	bad.Spec.Ports[0].Port = 0
	_, err = services.Create(ctx, bad, metav1.CreateOptions{})
	var status *apierrors.StatusError
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || len(status.ErrStatus.Details.Causes) == 0 {
		return fmt.Errorf("port 0 gave %w", err)
	}
	for kind, patch := range map[types.PatchType]string{
		types.StrategicMergePatchType: `{"spec":{"ports":[{"name":"two","port":81}]}}`,
		types.MergePatchType:          `{"metadata":{"labels":{"merged":"yes"}}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/metadata/labels/json","value":"yes"}]`,
	} {
		if _, err := services.Patch(ctx, "go", kind, []byte(patch), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	if _, err := services.Update(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("an old version gave %w", err)
	}
	now, err := services.Get(ctx, "go", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(now.Spec.Ports) != 2 || now.Labels["merged"] != "yes" || now.Labels["json"] != "yes" {
		return fmt.Errorf("patches made %v %v", now.Labels, now.Spec.Ports)
	}
	condition := metav1.Condition{
		Type: "Fine", Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.Now(),
	}
	now.Status.Conditions = append(now.Status.Conditions, condition)
	now, err = services.UpdateStatus(ctx, now, metav1.UpdateOptions{})
	if err != nil || len(now.Status.Conditions) != 1 {
		return fmt.Errorf("the status is %v: %w", now, err)
	}
	wrong := types.UID("wrong")
	precondition := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}}
	if err := services.Delete(ctx, "go", precondition); !apierrors.IsConflict(err) {
		return fmt.Errorf("a wrong UID gave %w", err)
	}
	return services.Delete(ctx, "go", *metav1.NewPreconditionDeleteOptions(string(now.UID)))
}

// Informers see what is there, what comes and what goes.
func watchAll(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	seen := make(chan string, 100)
	tell := func(kind string) cache.ResourceEventHandlerFuncs {
		name := func(object any) string {
			key, _ := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
			return kind + " " + key
		}
		return cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { seen <- "add " + name(object) },
			UpdateFunc: func(_, object any) { seen <- "update " + name(object) },
			DeleteFunc: func(object any) { seen <- "delete " + name(object) },
		}
	}
	for kind, informer := range map[string]cache.SharedIndexInformer{
		"Service":       factory.Core().V1().Services().Informer(),
		"EndpointSlice": factory.Discovery().V1().EndpointSlices().Informer(),
		"Pod":           factory.Core().V1().Pods().Informer(),
	} {
		if _, err := informer.AddEventHandler(tell(kind)); err != nil {
			return err
		}
	}
	stop, end := context.WithCancel(ctx)
	factory.Start(stop.Done())
	defer factory.Shutdown()
	defer end()
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("%s did not sync", kind)
		}
	}
	services := client.CoreV1().Services(namespace)
	made, err := services.Create(ctx, service("seen"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if err := await(ctx, seen, "add Service default/seen"); err != nil {
		return err
	}
	made.Labels["changed"] = "yes"
	if _, err := services.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := await(ctx, seen, "update Service default/seen"); err != nil {
		return err
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "seen"},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}},
	}
	slices := client.DiscoveryV1().EndpointSlices(namespace)
	if _, err := slices.Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := await(ctx, seen, "add EndpointSlice default/seen"); err != nil {
		return err
	}
	if err := slices.Delete(ctx, "seen", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := services.Delete(ctx, "seen", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return await(ctx, seen, "delete Service default/seen")
}

// One candidate gets the lease, gives it back, and another gets it.
func elect(ctx context.Context, client kubernetes.Interface) error {
	for _, identity := range []string{"one", "two"} {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: "go-leader"},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}
		term, resign := context.WithCancel(ctx)
		led := false
		leaderelection.RunOrDie(term, leaderelection.LeaderElectionConfig{
			Lock:            lock,
			ReleaseOnCancel: true,
			LeaseDuration:   15 * time.Second,
			RenewDeadline:   10 * time.Second,
			RetryPeriod:     100 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { led = true; resign() },
				OnStoppedLeading: func() {},
			},
		})
		resign()
		if !led {
			return fmt.Errorf("%s never led", identity)
		}
	}
	return client.CoordinationV1().Leases(namespace).Delete(ctx, "go-leader", metav1.DeleteOptions{})
}

func recordEvent(ctx context.Context, client kubernetes.Interface) error {
	target, err := client.CoreV1().Services(namespace).Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "go"})
	// The same twice becomes one Event with a count, through a patch.
	recorder.Event(target, corev1.EventTypeNormal, "Tested", "seen by client-go")
	recorder.Event(target, corev1.EventTypeNormal, "Tested", "seen by client-go")
	events := client.CoreV1().Events(namespace)
	return wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list, err := events.List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=kubernetes"})
		if err != nil {
			return false, err
		}
		for _, event := range list.Items {
			if event.Reason == "Tested" && event.Count == 2 {
				return true, events.Delete(ctx, event.Name, metav1.DeleteOptions{})
			}
		}
		return false, nil
	})
}

func await(ctx context.Context, seen <-chan string, wanted string) error {
	for {
		select {
		case got := <-seen:
			if got == wanted {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("%q never came: %w", wanted, ctx.Err())
		}
	}
}
