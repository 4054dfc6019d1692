// Command controller-runtime runs an operator against a Kubernetes API server: a kind of its own, a manager with
// caches, leader election, owner references, the status subresource, finalizers, events and server-side apply. It
// ends with 0 when everything went as controller-runtime expects it. Usage: controller-runtime KUBECONFIG
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	finalizer = "shop.test/finalizer"
	patience  = 60 * time.Second
)

var groupVersion = schema.GroupVersion{Group: "shop.test", Version: "v1"}

type WidgetSpec struct {
	Port int32 `json:"port"`
}

type WidgetStatus struct {
	ClusterIP  string             `json:"clusterIP,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

type Widget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              WidgetSpec   `json:"spec"`
	Status            WidgetStatus `json:"status,omitempty"`
}

type WidgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Widget `json:"items"`
}

func (w *Widget) DeepCopyObject() runtime.Object {
	copied := *w
	w.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	copied.Status.Conditions = append([]metav1.Condition(nil), w.Status.Conditions...)
	return &copied
}

func (l *WidgetList) DeepCopyObject() runtime.Object {
	copied := *l
	copied.Items = make([]Widget, len(l.Items))
	for i := range l.Items {
		copied.Items[i] = *l.Items[i].DeepCopyObject().(*Widget)
	}
	return &copied
}

func main() {
	log.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	scheme.AddKnownTypes(groupVersion, &Widget{}, &WidgetList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := define(ctx, direct); err != nil {
		return fmt.Errorf("definition: %w", err)
	}
	fmt.Println("ok definition")
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:        "0",
		LeaderElection:                true,
		LeaderElectionID:              "widgets",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	reconciler := &reconciler{Client: manager.GetClient(), recorder: manager}
	err = ctrl.NewControllerManagedBy(manager).For(&Widget{}).Owns(&corev1.Service{}).Complete(reconciler)
	if err != nil {
		return err
	}
	stop, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(stop) }()
	for _, flow := range []struct {
		name string
		run  func(context.Context, client.Client) error
	}{
		{"reconciliation", follow},
		{"conflicts", contend},
		{"apply", apply},
		{"deletion", remove},
	} {
		if err := flow.run(ctx, direct); err != nil {
			end()
			return fmt.Errorf("%s: %w", flow.name, err)
		}
		fmt.Println("ok " + flow.name)
	}
	if err := explore(ctx, config); err != nil {
		end()
		return fmt.Errorf("discovery: %w", err)
	}
	fmt.Println("ok discovery")
	end()
	if err := <-ended; err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	fmt.Println("ok manager")
	return nil
}

// The kind is defined, and served when its definition says so.
func define(ctx context.Context, c client.Client) error {
	anything := true
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.shop.test"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: groupVersion.Group,
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: groupVersion.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
				},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensionsv1.JSONSchemaProps{
						"spec": {
							Type: "object", Required: []string{"port"},
							Properties: map[string]apiextensionsv1.JSONSchemaProps{"port": {Type: "integer"}},
						},
						"status": {Type: "object", XPreserveUnknownFields: &anything},
					},
				}},
			}},
		},
	}
	if err := c.Create(ctx, definition); err != nil {
		return err
	}
	return poll(ctx, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(definition), definition); err != nil {
			return false, err
		}
		for _, condition := range definition.Status.Conditions {
			if condition.Type == apiextensionsv1.Established {
				return condition.Status == apiextensionsv1.ConditionTrue, nil
			}
		}
		return false, nil
	})
}

type reconciler struct {
	client.Client
	recorder interface {
		GetScheme() *runtime.Scheme
	}
}

// Each Widget has a Service of its own, and a status that says where it is.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	widget := &Widget{}
	if err := r.Get(ctx, request.NamespacedName, widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !widget.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(widget, finalizer) {
			return ctrl.Result{}, r.Update(ctx, widget)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(widget, finalizer) {
		return ctrl.Result{}, r.Update(ctx, widget)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: widget.Namespace, Name: widget.Name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, service, func() error {
		service.Spec.Ports = []corev1.ServicePort{{Port: widget.Spec.Port}}
		return controllerutil.SetControllerReference(widget, service, r.recorder.GetScheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	before := widget.DeepCopyObject().(*Widget)
	widget.Status.ClusterIP = service.Spec.ClusterIP
	meta.SetStatusCondition(&widget.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "Served", ObservedGeneration: widget.Generation,
	})
	return ctrl.Result{}, r.Status().Patch(ctx, widget, client.MergeFrom(before))
}

func widgetKey() types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: "one"}
}

// A Widget gets its Service, its status and its finalizer; a change of it and the loss of its Service are mended.
func follow(ctx context.Context, c client.Client) error {
	widget := &Widget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"},
		Spec:       WidgetSpec{Port: 80},
	}
	if err := c.Create(ctx, widget); err != nil {
		return err
	}
	served := func(port int32) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			service := &corev1.Service{}
			err := c.Get(ctx, widgetKey(), service)
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if err := c.Get(ctx, widgetKey(), widget); err != nil {
				return false, err
			}
			ready := meta.FindStatusCondition(widget.Status.Conditions, "Ready")
			return service.Spec.Ports[0].Port == port && metav1.IsControlledBy(service, widget) &&
				widget.Status.ClusterIP == service.Spec.ClusterIP && ready != nil &&
				ready.ObservedGeneration == widget.Generation &&
				controllerutil.ContainsFinalizer(widget, finalizer), nil
		}
	}
	if err := poll(ctx, served(80)); err != nil {
		return fmt.Errorf("after its creation: %w", err)
	}
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := c.Get(ctx, widgetKey(), widget); err != nil {
			return err
		}
		widget.Spec.Port = 81
		return c.Update(ctx, widget)
	}); err != nil {
		return err
	}
	if err := poll(ctx, served(81)); err != nil {
		return fmt.Errorf("after its change: %w", err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	err := c.Delete(ctx, service, client.Preconditions{UID: &widget.UID})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("a deletion with the UID of another object gave %v", err)
	}
	if err := c.Delete(ctx, service); err != nil {
		return err
	}
	return poll(ctx, served(81))
}

// Many writers of one object all get through by trying again.
func contend(ctx context.Context, c client.Client) error {
	const writers = 8
	results := make(chan error, writers)
	for i := range writers {
		go func() {
			results <- retry.RetryOnConflict(wait.Backoff{Steps: 50, Duration: 5 * time.Millisecond, Factor: 1.1, Jitter: 1}, func() error {
				widget := &Widget{}
				if err := c.Get(ctx, widgetKey(), widget); err != nil {
					return err
				}
				if widget.Labels == nil {
					widget.Labels = map[string]string{}
				}
				widget.Labels[fmt.Sprintf("writer-%d", i)] = "was-here"
				return c.Update(ctx, widget)
			})
		}()
	}
	for range writers {
		if err := <-results; err != nil {
			return err
		}
	}
	widget := &Widget{}
	if err := c.Get(ctx, widgetKey(), widget); err != nil {
		return err
	}
	if len(widget.Labels) != writers {
		return fmt.Errorf("labels are %v", widget.Labels)
	}
	return nil
}

// Server-side apply of a Service and of a custom resource; another owner's field is a conflict, unless forced.
func apply(ctx context.Context, c client.Client) error {
	applied := func(port int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Service",
			"metadata": map[string]any{"namespace": "default", "name": "applied"},
			"spec":     map[string]any{"ports": []any{map[string]any{"port": port, "name": "http", "protocol": "TCP"}}},
		}}
	}
	if err := c.Patch(ctx, applied(80), client.Apply, client.FieldOwner("a")); err != nil {
		return err
	}
	custom := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "shop.test/v1", "kind": "Widget",
		"metadata": map[string]any{"namespace": "default", "name": "one"},
		"spec":     map[string]any{"port": int64(82)},
	}}
	err := c.Patch(ctx, custom, client.Apply, client.FieldOwner("a"))
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("another's field gave %v", err)
	}
	return c.Patch(ctx, custom, client.Apply, client.FieldOwner("a"), client.ForceOwnership)
}

// The Widget waits for its finalizer and goes.
func remove(ctx context.Context, c client.Client) error {
	widget := &Widget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	if err := c.Delete(ctx, widget); err != nil {
		return err
	}
	return poll(ctx, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, widgetKey(), widget)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// Discovery and the dynamic client know the kind like any other.
func explore(ctx context.Context, config *rest.Config) error {
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	_, lists, err := found.ServerGroupsAndResources()
	if err != nil {
		return err
	}
	known := false
	for _, list := range lists {
		for _, resource := range list.APIResources {
			known = known || list.GroupVersion == groupVersion.String() && resource.Kind == "Widget"
		}
	}
	if !known {
		return fmt.Errorf("Widget is not among %d lists", len(lists))
	}
	paths, err := found.OpenAPIV3().Paths()
	if err != nil {
		return err
	}
	if _, err := paths["apis/shop.test/v1"].Schema("application/json"); err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	services := objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"})
	list, err := services.Namespace("default").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 || list.GetContinue() == "" {
		return fmt.Errorf("a page has %d items", len(list.Items))
	}
	return nil
}

func poll(ctx context.Context, done wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, done)
}
