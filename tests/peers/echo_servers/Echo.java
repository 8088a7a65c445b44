/** An echo server in Java, a thread for each client. Usage: java Echo.java PORT */
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;

public class Echo {
    public static void main(String[] args) throws IOException {
        ServerSocket server = new ServerSocket(Integer.parseInt(args[0]), 50, InetAddress.getByName("127.0.0.1"));
        while (true) {
            try {
                Socket client = server.accept();
                new Thread(() -> serve(client)).start();
            } catch (IOException lost) {
                try {
                    Thread.sleep(50); // no descriptor is left
                } catch (InterruptedException never) {
                    return;
                }
            }
        }
    }

    static void serve(Socket client) {
        try (client) {
            client.getInputStream().transferTo(client.getOutputStream());
        } catch (IOException lost) {
            // this client alone
        }
    }
}
