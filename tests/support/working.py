"""What workers of joblib do in tests; they import it by its name."""


def trained(net, optimizer, history, trainer, x, t):
    """Go on with a training in all ways; return what that gives."""
    resumed = net.fit(x, t, 4, 8, resume=history, verbose=False)
    losses = list(resumed.step_losses)
    losses += net.fit(x, t, 2, 8, optimizer, seed=1, verbose=False).step_losses
    for _ in range(3):
        optimizer.update(net.params, net.gradient(x, t))
    trainer.train()
    return losses, trainer.train_loss_list, net.predict(x), resumed.averages
